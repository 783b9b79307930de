import * as z from 'zod';
import type { StoredRow } from '../../lib/table.ts';

const actor = z.object({ id: z.string() });

const entryShape = z.looseObject({
  type: z.string(),
  time: z.string(),
  chain: z.string(),
  seq: z.int(),
  session: z.string().optional(),
  caller: actor.optional(),
  by: actor.optional(),
  onBehalfOf: actor.optional(),
  target: z.union([z.string(), actor]).optional(),
});

type Place = { readonly chain: string; readonly seq: number };

/** An entry as a scan of the whole log sees it, with all that it is to be found by. */
export type Scanned = {
  readonly chain: string;
  readonly seq: number;
  readonly type: string;
  readonly time: string;
  readonly session: string | undefined;
  readonly callers: ReadonlySet<string>;
  readonly targets: ReadonlySet<string>;
};

/**
 * Reads all entries among the rows of an audit table, the slow and simple way, newest first. What one entry tells of its
 * session holds for another where it is known to it.
 */
export function scanEntries(
  rows: readonly StoredRow[],
  isKnownTo = (_one: Place, _other: Place): boolean => true,
): readonly Scanned[] {
  const entries = rows
    .filter(({ partition }) => /^\d{8}-/.test(partition))
    .map(({ values }) => entryShape.parse(JSON.parse(String(values['b']))));
  const found = entries.map((entry) => {
    const { session, caller, by, onBehalfOf, target } = entry;
    const own =
      session === undefined
        ? []
        : entries.filter((one) => one.session === session && isKnownTo(one, entry));
    const callers = own.flatMap((one) => [one.caller?.id, one.onBehalfOf?.id]);
    const targets = own.flatMap((one) => toId(one.target));
    return {
      ...entry,
      session,
      callers: toSet([caller?.id, by?.id, onBehalfOf?.id, ...callers]),
      targets: toSet([...toId(target), ...targets]),
    };
  });
  return found.toSorted(compare);
}

/** Returns every place where an entry should stand in the index and does not. */
export function findIndexGaps(
  audit: readonly StoredRow[],
  index: readonly StoredRow[],
): readonly string[] {
  const there = new Set(
    index.map(({ partition, row }) => `${partition} ${row.split('|').slice(1).join('|')}`),
  );
  return scanEntries(audit).flatMap(({ chain, seq, type, time, session, callers, targets }) => {
    const day = time.slice(0, 10).replaceAll('-', '');
    const partitions = [
      `d|${day}`,
      `t|${type}|${day}`,
      ...(session === undefined ? [] : [`s|${session}`]),
      ...[...callers].map((id) => `u|${id}`),
      ...[...targets].map((id) => `v|${id}`),
    ];
    const place = String(999_999_999_999 - seq).padStart(12, '0');
    return partitions
      .map((partition) => `${partition} ${chain}|${place}`)
      .filter((row) => !there.has(row));
  });
}

function toId(target: string | { readonly id: string } | undefined): readonly string[] {
  if (target === undefined) return [];
  return [typeof target === 'string' ? target : target.id];
}

function toSet(ids: readonly (string | undefined)[]): ReadonlySet<string> {
  return new Set(ids.filter((id) => id !== undefined));
}

function compare(one: Scanned, other: Scanned): number {
  if (one.time !== other.time) return one.time < other.time ? 1 : -1;
  if (one.chain !== other.chain) return one.chain < other.chain ? -1 : 1;
  return other.seq - one.seq;
}
