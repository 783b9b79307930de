import type { Described, Pointer } from './audit-index.ts';
import {
  describeEntry,
  factRange,
  readFacts,
  toFactRow,
  toPointer,
  toPointerRow,
  toSessionPartition,
} from './audit-index.ts';
import type { StoredEntry } from './audit-verify-entry.ts';
import { inTurns } from './in-turns.ts';
import type { Row, StoredRow, Table } from './table.ts';

/** The table of the index, as far as it is written here. */
export type IndexTable = Pick<Table, 'list' | 'put'>;

/** What the entries of a session gain by those that are written now. */
type Linked = {
  readonly session: string;
  /** The partitions to which all of them belong. */
  readonly facts: readonly string[];
  /** Those that are new, and the entries that were indexed without them. */
  readonly learned: readonly string[];
  readonly earlier: readonly Pointer[];
};

/**
 * Writes verified entries to the index, so that each is found by time, by type, by session, and by every caller and
 * target that it names or that its session belongs to. What an entry tells of its session holds for those that were
 * written before, too. Safe to repeat, and to do in several processes at once: nothing is ever taken back.
 */
export async function indexEntries(
  index: IndexTable,
  entries: readonly StoredEntry[],
): Promise<void> {
  const described = entries.map(describeEntry);
  const linked = new Map<string | undefined, Linked>();
  await inTurns([...Map.groupBy(described, toSession)], async ([session, members]) => {
    if (session !== undefined) linked.set(session, await linkSession(index, session, members));
  });
  const own = described.flatMap((one) => {
    const { facts = [] } = linked.get(toSession(one)) ?? {};
    return toRows([...new Set([...one.partitions, ...facts])], one.pointer);
  });
  const earlier = [...linked.values()].flatMap(({ learned, earlier }) =>
    earlier.flatMap((pointer) => toRows(learned, pointer)),
  );
  await putRows(index, [...own, ...earlier]);
  // Last: whoever dies before does all of it again.
  const done = [...linked.values()].flatMap(({ session, learned }) =>
    learned.map((fact) => toFactRow(session, fact, true)),
  );
  await putRows(index, done);
}

// Two sealers may be at the same session, one with the entry that tells whose it is, and one with another entry. Each
// writes first and reads then, so that at least one of them sees what the other has.
async function linkSession(
  index: IndexTable,
  session: string,
  members: readonly Described[],
): Promise<Linked> {
  const partition = toSessionPartition(session);
  const before = readFacts(await index.list(partition, factRange));
  const told = new Set(members.flatMap(({ facts }) => facts));
  const learned = [...told].filter((fact) => before.get(fact) !== true);
  await index.put([
    ...members.map(({ pointer }) => toPointerRow(partition, pointer)),
    ...learned.map((fact) => toFactRow(session, fact, false)),
  ]);
  if (learned.length === 0 && isSettled(before))
    return { session, facts: [...before.keys()], learned, earlier: [] };
  const rows = await index.list(partition, learned.length === 0 ? factRange : {});
  const facts = [...readFacts(rows).keys()];
  return { session, facts, learned, earlier: findEarlier(rows, members) };
}

/** Whether it is known whose a session is and which target it is about: nobody else will tell. */
function isSettled(facts: ReadonlyMap<string, boolean>): boolean {
  const kinds = new Set([...facts.keys()].map((fact) => fact.charAt(0)));
  return kinds.has('u') && kinds.has('v');
}

function findEarlier(
  rows: readonly StoredRow[],
  members: readonly Described[],
): readonly Pointer[] {
  const own = new Set(members.map(({ pointer }) => pointer.key));
  return rows
    .filter(({ row }) => row < factRange.from && !own.has(row))
    .map((row) => toPointer(row));
}

function toSession({ pointer }: Described): string | undefined {
  return pointer.session;
}

function toRows(partitions: readonly string[], pointer: Pointer): readonly Row[] {
  return partitions.map((partition) => toPointerRow(partition, pointer));
}

async function putRows(index: IndexTable, rows: readonly Row[]): Promise<void> {
  const groups = [...Map.groupBy(rows, ({ partition }) => partition).values()];
  await inTurns(groups, async (group) => index.put(group));
}
