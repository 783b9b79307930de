import { findDay, toDay } from './audit-entry.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import type { ChainTrust } from './audit-verify-key.ts';
import { findLinkFault, isFault, readCheckpoint, toFault } from './checkpoint-check.ts';
import type { Checkpoint, SignedCheckpoint } from './checkpoint.ts';
import { checkpointPartition, toCheckpointKey } from './checkpoint.ts';
import { findLastCheckpoint } from './find-checkpoint.ts';
import type { StoredRow, Table } from './table.ts';

/** The end of a chain, as a checkpoint has sealed it. */
export type SealedHead = {
  readonly sequence: number;
  readonly hash: string;
  readonly isClosed: boolean;
  /** The number of the checkpoint. */
  readonly n: number;
};

/** What the checkpoints say. */
export type Sealed = {
  readonly last?: SignedCheckpoint;
  /** The first day, at midnight (UTC), whose chains may hold what is not sealed. */
  readonly firstDay: Date;
  /** The sealed ends of the chains of the days from then on. */
  readonly heads: ReadonlyMap<string, SealedHead>;
  /** What is wrong with the next checkpoint; all else is as of the last good one. */
  readonly fault?: AuditFault;
};

/** The checkpoints of a table, followed as they grow. */
export type CheckpointLog = {
  /** Reads and verifies what is new. Costs one call, and some more at first. */
  readonly follow: () => Promise<Sealed>;
};

export type CheckpointLogSettings = {
  /** Lists rows of the audit table. */
  readonly list: Table['list'];
  readonly trust: ChainTrust;
  readonly now: () => Date;
};

/** INVARIANT: `heads` has every chain of `firstDay` and later of which anything is sealed. */
type State = {
  readonly last?: SignedCheckpoint;
  readonly firstDay: Date;
  readonly heads: ReadonlyMap<string, SealedHead>;
};

const dayMilliseconds = 86_400_000;
const rowsPerPage = 500;

// A chain is of the day on which it began. Its key is good for a day at most, and what its process was not certain to
// have stored it stores within an hour, or never: see `ChainWriter`. The rest of the second day is for clocks.
const lateDays = 2;

/**
 * Opens the checkpoints of an audit table. Everything is verified that is read: signatures, numbers and links. What was
 * read once is kept, so that a checkpoint which is taken away or replaced later is missed.
 */
export function openCheckpointLog(settings: CheckpointLogSettings): CheckpointLog {
  let state: State | undefined;
  let following: Promise<Sealed> | undefined;
  const followOnce = async (): Promise<Sealed> => {
    const started = state ?? (await findStart(settings));
    if (isFault(started)) return { ...toUnknown(settings.now()), fault: started };
    const { state: reached, fault } = await readOn(settings, started);
    state = moveOn(started, reached, settings.now());
    return { ...state, ...(fault === undefined ? {} : { fault }) };
  };
  return {
    follow: async () => {
      // Two at once would both add what they have read.
      following ??= followOnce().finally(() => {
        following = undefined;
      });
      return following;
    },
  };
}

function toUnknown(now: Date): State {
  return { firstDay: findFirstDay(undefined, now), heads: new Map() };
}

function moveOn(from: State, { last, heads }: State, now: Date): State {
  const next = findFirstDay(last?.checkpoint, now);
  // Never back: what was known of earlier days has been dropped.
  const isBack = from.last !== undefined && next < from.firstDay;
  const firstDay = isBack ? from.firstDay : next;
  const kept = [...heads].filter(([chain]) => toDay(firstDay) <= findDay(chain));
  return { firstDay, heads: new Map(kept), ...(last === undefined ? {} : { last }) };
}

/**
 * Returns the first day whose chains may hold what is not sealed. A sealer goes from day to day, so that a checkpoint
 * with heads has sealed all that was stored before the day of its last head, and one without heads all there was.
 */
function findFirstDay(last: Checkpoint | undefined, now: Date): Date {
  const today = toMidnight(toDay(now));
  const reached = last === undefined ? today : toMidnight(findReachedDay(last));
  return new Date(Math.min(today, reached) - lateDays * dayMilliseconds);
}

function findReachedDay({ heads, time }: Checkpoint): string {
  const days = heads.map(({ chain }) => findDay(chain)).sort();
  return days.at(-1) ?? toDay(new Date(time));
}

function toMidnight(day: string): number {
  return Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
}

// Where to begin: after a checkpoint before whose time nothing was sealed of the chains that matter.
async function findStart({ list, trust, now }: CheckpointLogSettings): Promise<State | AuditFault> {
  const read = async (n: number): Promise<SignedCheckpoint | AuditFault> => {
    const [row] = await list(checkpointPartition, { from: toCheckpointKey(n), limit: 1 });
    return readCheckpoint(row, n, trust);
  };
  const n = await findLastCheckpoint(list);
  if (n === 0) return toUnknown(now());
  let base = await read(n);
  if (isFault(base)) return base;
  const firstDay = findFirstDay(base.checkpoint, now());
  // The day before is for clocks that differ: before its own day nothing of a chain was sealed.
  const since = firstDay.getTime() - dayMilliseconds;
  while (since <= Date.parse(base.checkpoint.time)) {
    if (base.checkpoint.n <= rowsPerPage) return { firstDay, heads: new Map() };
    base = await read(base.checkpoint.n - rowsPerPage);
    if (isFault(base)) return base;
  }
  return { last: base, firstDay, heads: new Map(toHeads(base)) };
}

type ReadOn = { readonly state: State; readonly fault?: AuditFault };

async function readOn({ list, trust }: CheckpointLogSettings, from: State): Promise<ReadOn> {
  let state = from;
  for (;;) {
    const { last } = state;
    // From the last one on, which must still be the same.
    const range = { from: toCheckpointKey(last?.checkpoint.n ?? 1), limit: rowsPerPage };
    const rows = await list(checkpointPartition, range);
    const gone = last === undefined ? undefined : findGone(rows[0], last, trust);
    if (gone !== undefined) return { state, fault: gone };
    const added = addRows(state, last === undefined ? rows : rows.slice(1), trust);
    if (added.fault !== undefined || rows.length < rowsPerPage) return added;
    state = added.state;
  }
}

function addRows(
  { last: from, firstDay, heads: known }: State,
  rows: readonly StoredRow[],
  trust: ChainTrust,
): ReadOn {
  let last = from;
  const heads = new Map(known);
  const toState = (): State => ({
    heads,
    firstDay,
    ...(last === undefined ? {} : { last }),
  });
  for (const row of rows) {
    const next = readCheckpoint(row, (last?.checkpoint.n ?? 0) + 1, trust);
    if (isFault(next)) return { state: toState(), fault: next };
    const fault = findLinkFault(last, next);
    if (fault !== undefined) return { state: toState(), fault };
    for (const [chain, head] of toHeads(next)) heads.set(chain, head);
    last = next;
  }
  return { state: toState() };
}

function findGone(
  row: StoredRow | undefined,
  { checkpoint: { n }, hash }: SignedCheckpoint,
  trust: ChainTrust,
): AuditFault | undefined {
  const found = readCheckpoint(row, n, trust);
  if (isFault(found)) return found;
  if (found.hash === hash) return undefined;
  return toFault('checkpoint-forked', n, 'is not the one that was there before');
}

function toHeads({ checkpoint: { n, heads } }: SignedCheckpoint): readonly [string, SealedHead][] {
  return heads.map(({ chain, seq, hash, closed }) => [
    chain,
    { sequence: seq, hash, isClosed: closed, n },
  ]);
}
