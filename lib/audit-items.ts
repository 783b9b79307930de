import * as z from 'zod';
import type { Pointer } from './audit-index.ts';
import { readTime, toHeadKey } from './audit-index.ts';
import { isHashOf } from './audit-verify-entry.ts';
import type { AuditItem } from './audit-view.ts';
import { inTurns } from './in-turns.ts';
import { parseJson } from './json.ts';
import { toEntryKey, toStoredEntry } from './seal-chain.ts';
import type { StoredRow, Table } from './table.ts';

/** What items are read from: the audit table, and the index. */
export type ItemParts = { readonly list: Table['list']; readonly index: Pick<Table, 'list'> };

/** An entry that was found, with its row where that is at hand. */
export type FoundEntry = { readonly pointer: Pointer; readonly row?: StoredRow };

const bodyShape = z.record(z.string(), z.unknown());

/** Returns the entries as they are shown, in the order in which they come. Costs two calls for each at most. */
export async function readItems(
  parts: ItemParts,
  found: readonly FoundEntry[],
): Promise<readonly AuditItem[]> {
  const seals = await readSeals(
    parts,
    found.flatMap(({ pointer, row }) => (row === undefined ? [pointer] : [])),
  );
  return inTurns(found, async ({ pointer, row }) => {
    const stored = row ?? (await findEntryRow(parts.list, pointer.chain, pointer.sequence));
    return toItem(pointer, stored, seals.get(pointer.key) ?? null);
  });
}

/** Returns the row of an entry, unverified. */
export async function findEntryRow(
  list: Table['list'],
  chain: string,
  sequence: number,
): Promise<StoredRow | undefined> {
  const key = toEntryKey(sequence);
  const [row] = await list(chain, { from: key, limit: 1 });
  return row?.row === key ? row : undefined;
}

/** How far a checkpoint has sealed a chain. */
export type FoundSeal = { readonly n: number; readonly sequence: number };

/** Returns the first checkpoint that covers an entry, as the index says; undefined where none does. */
export async function findSeal(
  index: Pick<Table, 'list'>,
  chain: string,
  sequence: number,
): Promise<FoundSeal | undefined> {
  const { partition, row: from } = toHeadKey(chain, sequence);
  const [row] = await index.list(partition, { from, before: `${chain}|~`, limit: 1 });
  if (row === undefined) return undefined;
  return { n: Number(row.values['n']), sequence: Number(row.row.slice(chain.length + 1)) };
}

// One checkpoint often covers many entries of a chain, and is looked for once.
async function readSeals(
  { index }: ItemParts,
  pointers: readonly Pointer[],
): Promise<ReadonlyMap<string, number>> {
  const seals = new Map<string, number>();
  const chains = [...Map.groupBy(pointers, ({ chain }) => chain)];
  await inTurns(chains, async ([chain, members]) => {
    let seal: FoundSeal | undefined;
    let isLast = false;
    for (const { key, sequence } of members.toSorted((a, b) => a.sequence - b.sequence)) {
      if (isLast || (seal !== undefined && sequence <= seal.sequence)) {
        if (seal !== undefined && sequence <= seal.sequence) seals.set(key, seal.n);
        continue;
      }
      seal = await findSeal(index, chain, sequence);
      if (seal === undefined) isLast = true;
      else seals.set(key, seal.n);
    }
  });
  return seals;
}

function toItem(pointer: Pointer, row: StoredRow | undefined, sealed: number | null): AuditItem {
  const { key, chain, sequence: seq, type } = pointer;
  const place = { chain, seq, time: readTime(key).toISOString(), type, sealed };
  if (row === undefined) return { ...place, body: null, hash: null };
  const entry = toStoredEntry(row);
  const body = bodyShape.safeParse(parseJson(entry.body)).data ?? null;
  return { ...place, body, hash: isHashOf(entry) ? entry.hash : null };
}
