import { findDay } from './audit-entry.ts';
import type { StoredRow, Table } from './table.ts';

// How long after its time something may still appear in the log: a writer stores what it was not certain of within an
// hour, or never, and the rest is for clocks that differ.
const lateMilliseconds = 2 * 3_600_000;

const dayMilliseconds = 86_400_000;

/** Returns the chains that have been announced of a day (UTC, `yyyymmdd`), in the order of their ids. */
export async function listChains(list: Table['list'], day: string): Promise<readonly string[]> {
  const rows = await list(`chains|${day}`);
  const isChain = (row: string): boolean =>
    /^\d{8}-[0-9a-f]{16}$/.test(row) && findDay(row) === day;
  return rows.map(({ row }) => row).filter(isChain);
}

/** Whether no chain of a day is announced any more. */
export function isComplete(day: string, now: Date): boolean {
  return findEnd(day) + lateMilliseconds <= now.getTime();
}

/** Whether nothing is added any more to a chain of a day: the key that signs it lives for a day at most. */
export function isSilent(day: string, now: Date): boolean {
  return findEnd(day) + dayMilliseconds + lateMilliseconds <= now.getTime();
}

/** Returns the day (`yyyymmdd`) that follows. */
export function findNextDay(day: string): string {
  return new Date(findEnd(day)).toISOString().slice(0, 10).replaceAll('-', '');
}

/**
 * Returns the rows of a chain that follow each other after a sequence. Of a chain that is silent, all: before, one that
 * is ahead of the others may have been put there to lead readers past what the broker records next.
 */
export function takeFollowing(
  rows: readonly StoredRow[],
  after: number,
  isChainSilent: boolean,
): readonly StoredRow[] {
  const entries = rows.filter(({ row }) => /^\d{12}$/.test(row));
  if (isChainSilent) return entries;
  return entries.filter(({ row }, index) => Number(row) === after + 1 + index);
}

function findEnd(day: string): number {
  const start = `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`;
  return Date.parse(start) + dayMilliseconds;
}
