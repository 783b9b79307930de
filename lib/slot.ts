import { createHash } from 'node:crypto';
import type { Row, StoredRow, Table } from './table.ts';

/** A numbered place, of which a partition has a limited number: `slot|0000`, `slot|0001` and so on. */
export type SlotHolder = {
  readonly partition: string;
  /** Who takes it: an attempt to make a session, or a connection of a session. */
  readonly holder: string;
  /** What the holder is part of, for who asks whether it still is. */
  readonly about: string;
  /** How many places there are. */
  readonly limit: number;
  /** Whether the holder may have asked before, and have a place. */
  readonly isRepeated: boolean;
};

/** Whether a holder still is what it took its place for. */
export type IsHeld = (holder: string, about: string) => Promise<boolean>;

// A place is taken before its holder is stored. A holder that is not there after this long never will be.
const settledMilliseconds = 60_000;

const range = { from: 'slot|', before: 'slot}' } as const;

/**
 * Takes one of the places, and tells whether there was one. Each is a row that only one writer can insert, so the limit
 * holds across processes; a repeated call finds the place that its holder has. When all are taken, those are free again
 * that a process which died took for nothing.
 */
export async function takeSlot(
  table: Table,
  wanted: SlotHolder,
  now: Date,
  isHeld: IsHeld,
): Promise<boolean> {
  // A guess of the holder's own mostly saves the list.
  const guess = toSlotRow(wanted, toGuess(wanted), now);
  if (!wanted.isRepeated && (await table.insert(guess)) === 'inserted') return true;
  const slots = await table.list(wanted.partition, range);
  if (slots.some((slot) => slot.values['holder'] === wanted.holder)) return true;
  return (
    (await takeFree(table, wanted, slots, now)) ||
    (await takeAbandoned(table, wanted, { slots, now, isHeld }))
  );
}

async function takeFree(
  table: Table,
  wanted: SlotHolder,
  slots: readonly StoredRow[],
  now: Date,
): Promise<boolean> {
  const taken = new Set(slots.map((slot) => slot.row));
  for (let number = 0; number < wanted.limit; number += 1) {
    if (taken.has(toSlotKey(number))) continue;
    if ((await table.insert(toSlotRow(wanted, number, now))) === 'inserted') return true;
  }
  return false;
}

async function takeAbandoned(
  table: Table,
  wanted: SlotHolder,
  found: { readonly slots: readonly StoredRow[]; readonly now: Date; readonly isHeld: IsHeld },
): Promise<boolean> {
  const before = found.now.getTime() - settledMilliseconds;
  const settled = found.slots.filter(({ values }) => Number(values['at']) < before);
  for (const [number, slot] of settled.entries()) {
    if (wanted.limit <= number) return false;
    const { holder, about } = slot.values;
    if (await found.isHeld(String(holder), String(about))) continue;
    const { values } = toSlotRow(wanted, 0, found.now);
    if ((await table.replace({ ...slot, values })) === 'replaced') return true;
  }
  return false;
}

/** Gives back the place of a holder; one that has none is no error. */
export async function releaseSlot(table: Table, partition: string, holder: string): Promise<void> {
  const slots = await table.list(partition, range);
  const own = slots.filter((slot) => slot.values['holder'] === holder);
  await Promise.all(own.map(async (slot) => table.remove(partition, slot.row)));
}

function toSlotRow({ partition, holder, about }: SlotHolder, number: number, at: Date): Row {
  return { partition, row: toSlotKey(number), values: { holder, about, at: at.getTime() } };
}

function toSlotKey(number: number): string {
  return `slot|${String(number).padStart(4, '0')}`;
}

function toGuess({ holder, limit }: SlotHolder): number {
  return createHash('sha256').update(holder).digest().readUInt32BE() % limit;
}
