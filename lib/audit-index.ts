import { findDay, toDay } from './audit-entry.ts';
import type { StoredEntry } from './audit-verify-entry.ts';
import type { ChainHead } from './checkpoint.ts';
import { toCallerPartition, toNewestFirst } from './session-index.ts';
import type { Row, StoredRow } from './table.ts';
import { toKey } from './table-key.ts';

/** An entry as the index knows it: where it stands, and what never changes about it. */
export type Pointer = {
  /** Orders entries, the newest first: time, chain and sequence. */
  readonly key: string;
  readonly chain: string;
  readonly sequence: number;
  readonly type: string;
  readonly session?: string;
};

/** A pointer with the partitions in which the entry by itself belongs, and with what it tells of its session. */
export type Described = {
  readonly pointer: Pointer;
  readonly partitions: readonly string[];
  /** The partitions in which every entry of its session belongs: its callers' and its target's. */
  readonly facts: readonly string[];
};

const lastSequence = 999_999_999_999;

/** Returns the partition of what is about a target. */
export function toTargetPartition(target: string): string {
  return `v|${toKey(target.toLowerCase())}`;
}

/** Returns the partition of what is about a session. */
export function toSessionPartition(session: string): string {
  return `s|${toKey(session.toLowerCase())}`;
}

/** Returns the partition of all entries of a day (UTC, `yyyymmdd`), or of those of one type. */
export function toDayPartition(day: string, type?: string): string {
  return type === undefined ? `d|${day}` : `t|${toKey(type)}|${day}`;
}

/** The rows of a session's partition that are facts: each names a partition to which all its entries belong. */
export const factRange = { from: 'fact|', before: 'fact}' } as const;

/** Returns a fact as a row. It is done when the entries that were indexed before it are in that partition, too. */
export function toFactRow(session: string, fact: string, isDone: boolean): Row {
  const row = `${factRange.from}${fact}`;
  return { partition: toSessionPartition(session), row, values: { done: isDone } };
}

/** Returns which facts there are among the rows of a session, and whether each is done. */
export function readFacts(rows: readonly StoredRow[]): ReadonlyMap<string, boolean> {
  const facts = rows.filter(({ row }) => row.startsWith(factRange.from));
  return new Map(
    facts.map(({ row, values }) => [row.slice(factRange.from.length), values['done'] === true]),
  );
}

/** Returns a pointer as a row of a partition. The same entry always makes the same row. */
export function toPointerRow(partition: string, { key, type, session }: Pointer): Row {
  const values = { type, ...(session === undefined ? {} : { session }) };
  return { partition, row: key, values };
}

/** Returns the pointer that a row holds. */
export function toPointer({ row, values }: StoredRow): Pointer {
  const [, chain = '', sequence = ''] = row.split('|');
  const { type, session } = values;
  return {
    key: row,
    chain,
    sequence: lastSequence - Number(sequence),
    type: String(type),
    ...(session === undefined ? {} : { session: String(session) }),
  };
}

/** Returns the time of an entry from its key. */
export function readTime(key: string): Date {
  // Counted down twice, a time is what it was.
  return new Date(Number(toNewestFirst(new Date(Number(key.slice(0, 13))))));
}

/** Returns the rows that tell by which checkpoint a chain was sealed, how far; by the day of the chain. */
export function toHeadRows(n: number, heads: readonly ChainHead[]): ReadonlyMap<string, Row[]> {
  const rows = heads.map(({ chain, seq }): Row => ({ ...toHeadKey(chain, seq), values: { n } }));
  return Map.groupBy(rows, ({ partition }) => partition);
}

/** Returns where to look for the checkpoint that sealed an entry: the first row of its chain from there on. */
export function toHeadKey(chain: string, sequence: number): Pick<Row, 'partition' | 'row'> {
  const row = `${chain}|${String(sequence).padStart(12, '0')}`;
  return { partition: `h|${findDay(chain)}`, row };
}

/** Returns what the index is to know of a verified entry. */
export function describeEntry({ chain, sequence, body }: StoredEntry): Described {
  const members = toMembers(JSON.parse(body));
  const { type, time, session } = members;
  const at = new Date(String(time));
  const place = String(lastSequence - sequence).padStart(12, '0');
  const pointer = {
    key: `${toNewestFirst(at)}|${chain}|${place}`,
    chain,
    sequence,
    type: String(type),
    ...(typeof session === 'string' ? { session: session.toLowerCase() } : {}),
  };
  const owners = findOwners(members).map(toCallerPartition);
  const targets = findTargets(members).map(toTargetPartition);
  const partitions = new Set([
    toDayPartition(toDay(at)),
    toDayPartition(toDay(at), pointer.type),
    ...owners,
    ...findActors(members).map(toCallerPartition),
    ...targets,
    ...findNamedTargets(members).map(toTargetPartition),
  ]);
  // Who is denied a target must not learn from their own entries that it is there.
  const facts = new Set([...owners, ...(type === 'session.denied' ? [] : targets)]);
  return { pointer, partitions: [...partitions], facts: [...facts] };
}

type Members = Readonly<Record<string, unknown>>;

function findOwners({ caller, onBehalfOf, input }: Members): readonly string[] {
  const decided = toMembers(input);
  return toIds([caller, onBehalfOf, decided['caller'], decided['onBehalfOf']]);
}

function findTargets({ target, input }: Members): readonly string[] {
  return toIds([target, toMembers(input)['target']]);
}

/** Those who did something about a session or a thing that is not theirs, and those whom it is about. */
function findActors({ by, lock, delegation }: Members): readonly string[] {
  const { setBy, kind, value } = toMembers(lock);
  const { from, to } = toMembers(delegation);
  return toIds([by, setBy, kind === 'caller' ? value : undefined, from, to]);
}

function findNamedTargets({ request, lock, delegation }: Members): readonly string[] {
  const { kind, value } = toMembers(lock);
  const { targets } = toMembers(delegation);
  const asked = toIds([toMembers(request)['target']]).filter((id) => guid.test(id));
  const listed: readonly unknown[] = Array.isArray(targets) ? targets : [];
  return [...asked, ...toIds([kind === 'target' ? value : undefined, ...listed])];
}

const guid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

function toIds(values: readonly unknown[]): readonly string[] {
  return values.flatMap((value) => {
    const id = typeof value === 'string' ? value : toMembers(value)['id'];
    return typeof id === 'string' ? [id] : [];
  });
}

function toMembers(value: unknown): Members {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
