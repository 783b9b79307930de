import { findDay } from './audit-entry.ts';
import { toChainLine, toCheckpointLine, toEntryLine } from './audit-export-walk.ts';
import { describeEntry } from './audit-index.ts';
import type { FoundSeal } from './audit-items.ts';
import { findEntryRow, findSeal, readItems } from './audit-items.ts';
import { readParts } from './audit-query.ts';
import type { AuditEntryView } from './audit-view.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { checkpointPartition, toCheckpointKey } from './checkpoint.ts';
import { toNotFound } from './not-found.ts';
import { showOwn } from './own-entries.ts';
import { hasRole } from './role.ts';
import { toEntryKey, toStoredEntry } from './seal-chain.ts';
import type { StoredRow, Table } from './table.ts';

type Proof = NonNullable<AuditEntryView['proof']>;

type Parts = { readonly list: Table['list']; readonly index: Pick<Table, 'list'> };

const chainPattern = /^\d{8}-[\da-f]{16}$/;
const entriesPerProof = 500;

// A transaction of a table holds a hundred.
const maxBatchEntries = 100;

/**
 * Returns one entry: one's own, or any with the role `Audit.Read`, and with that role what it takes to verify it offline.
 * Until it is sealed, that is all up to the signature of its batch; then, up to what a checkpoint has sealed.
 */
export async function readAuditEntry(
  broker: Broker,
  caller: Caller,
  place: { readonly chain: string; readonly seq: string },
): Promise<AuditEntryView> {
  const { chain } = place;
  if (!chainPattern.test(chain) || !/^[1-9]\d{0,11}$/.test(place.seq)) throw toNotFound();
  const { list, index } = readParts(broker);
  const row = await findEntryRow(list, chain, Number(place.seq));
  if (row === undefined) throw toNotFound();
  const items = await readItems({ list, index }, [{ pointer: describe(row) }]);
  const mayReadAll = hasRole(caller, 'Audit.Read');
  const [item] = mayReadAll ? items : await showOwn(broker, caller, items);
  if (item === undefined) throw toNotFound();
  if (!mayReadAll) return item;
  const proof = await readProof({ list, index }, row);
  return proof === undefined ? item : { ...item, proof: { issuer: broker.url.origin, ...proof } };
}

// What cannot be read is for the verifier to name.
function describe(row: StoredRow) {
  try {
    return describeEntry(toStoredEntry(row)).pointer;
  } catch {
    throw toNotFound();
  }
}

async function readProof(
  { list, index }: Parts,
  row: StoredRow,
): Promise<Omit<Proof, 'issuer'> | undefined> {
  const { partition: chain, row: key } = row;
  const seal = await findSeal(index, chain, Number(key));
  const [announced] = await list(`chains|${findDay(chain)}`, { from: chain, limit: 1 });
  if (announced?.row !== chain) return undefined;
  const rows = await readPath(list, row, seal);
  const last = rows.at(-1) ?? row;
  const proof = { chain: toChainLine(announced), entries: rows.map(toEntryLine) };
  if (seal === undefined) return proof;
  if (last.row < toEntryKey(seal.sequence)) return { ...proof, next: Number(last.row) };
  const range = { from: toCheckpointKey(seal.n), limit: 1 };
  const [checkpoint] = await list(checkpointPartition, range);
  return checkpoint === undefined ? proof : { ...proof, checkpoint: toCheckpointLine(checkpoint) };
}

/** Returns the entry and those after it, as far as one answer goes. */
async function readPath(
  list: Table['list'],
  { partition: chain, row: from }: StoredRow,
  seal: FoundSeal | undefined,
): Promise<readonly StoredRow[]> {
  if (seal !== undefined) {
    const before = toEntryKey(seal.sequence + 1);
    return list(chain, { from, before, limit: entriesPerProof });
  }
  const rows = await list(chain, { from, limit: maxBatchEntries });
  const signed = rows.findIndex(({ values }) => values['s'] !== undefined);
  return rows.slice(0, signed + 1);
}
