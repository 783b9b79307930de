import { readTime, toDayPartition } from './audit-index.ts';
import { toDay } from './audit-entry.ts';
import { toNewestFirst } from './session-index.ts';
import type { StoredRow, Table } from './table.ts';

/** Rows of the index in the order of their keys: of one partition, or of those of several days. */
export type Cursor = {
  /** Returns the first row whose key is this or later. Keys must not go back from one call to the next. */
  readonly seek: (key: string) => Promise<Sought>;
};

/** A row; nothing, at the end; or where to go on another time, when enough calls have been made. */
type Sought = StoredRow | 'end' | { readonly resumeAt: string };

/** A range of keys, `from <= key && key < before`, and how much one search may cost. */
export type SearchBounds = {
  readonly from: string;
  readonly before: string;
  /** How many rows to ask for at once. */
  readonly pageRows: number;
  /** How many calls are left; counted down. */
  readonly calls: { left: number };
};

type List = Table['list'];

/** Opens the rows of one partition. */
export function openPartition(list: List, partition: string, bounds: SearchBounds): Cursor {
  const { before, pageRows, calls } = bounds;
  let rows: readonly StoredRow[] = [];
  let isLast = false;
  return {
    seek: async (key) => {
      rows = rows.slice(countBefore(rows, key));
      if (rows.length === 0 && !isLast) {
        if (calls.left === 0) return { resumeAt: key };
        calls.left -= 1;
        rows = await list(partition, { from: key, before, limit: pageRows });
        isLast = rows.length < pageRows;
      }
      return rows[0] ?? 'end';
    },
  };
}

/** Opens the rows of all days of a range, or those of one type, from the last day on. */
export function openDays(list: List, type: string | undefined, bounds: SearchBounds): Cursor {
  let opened: { readonly day: string; readonly cursor: Cursor } | undefined;
  return {
    seek: async (from) => {
      for (let key = from; key < bounds.before; key = toNextDay(key)) {
        const day = toDay(readTime(key));
        if (opened?.day !== day)
          opened = { day, cursor: openPartition(list, toDayPartition(day, type), bounds) };
        const found = await opened.cursor.seek(key);
        if (found !== 'end') return found;
      }
      return 'end';
    },
  };
}

/** What a search has found, and where to go on; nothing more is there when `next` is absent. */
export type Searched = { readonly rows: readonly StoredRow[]; readonly next?: string };

/** Returns the rows that all cursors have in common and that match, up to a limit. */
export async function search(
  cursors: readonly Cursor[],
  { from }: SearchBounds,
  limit: number,
  matches: (row: StoredRow) => boolean,
): Promise<Searched> {
  const rows: StoredRow[] = [];
  let key = from;
  while (rows.length < limit) {
    const found = await findCommon(cursors, key);
    if (found === 'end') return { rows };
    if ('resumeAt' in found) return { rows, next: found.resumeAt };
    if (matches(found)) rows.push(found);
    key = toNextKey(found.row);
  }
  return { rows, next: key };
}

/** Returns the least key that comes after this one. */
export function toNextKey(key: string): string {
  return `${key} `;
}

// Each cursor in turn goes to where the one before has come to, until all are at the same row: no more rows are looked
// at than the rarest has, times a page.
async function findCommon(cursors: readonly Cursor[], from: string): Promise<Sought> {
  let key = from;
  let agreed: StoredRow | undefined;
  for (let count = 0, turn = 0; count < cursors.length; turn += 1) {
    const found = await cursors[turn % cursors.length]?.seek(key);
    if (found === undefined || found === 'end') return 'end';
    if ('resumeAt' in found) return found;
    count = found.row === agreed?.row ? count + 1 : 1;
    agreed = found;
    key = found.row;
  }
  return agreed ?? 'end';
}

function countBefore(rows: readonly StoredRow[], key: string): number {
  const place = rows.findIndex(({ row }) => key <= row);
  return place === -1 ? rows.length : place;
}

// Keys count time down: the last millisecond of the day before.
function toNextDay(key: string): string {
  const midnight = Math.floor(readTime(key).getTime() / dayMilliseconds) * dayMilliseconds;
  return toNewestFirst(new Date(midnight - 1));
}

const dayMilliseconds = 86_400_000;
