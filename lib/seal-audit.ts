import { findDay, toDay } from './audit-entry.ts';
import { raiseAlarm } from './audit-alarm.ts';
import { toHeadRows } from './audit-index.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import type { ChainTrust } from './audit-verify-key.ts';
import type { Log } from './broker.ts';
import type { CheckpointCopies, CheckpointCopier } from './checkpoint-copies.ts';
import { openCheckpointCopier } from './checkpoint-copies.ts';
import type { CheckpointLog, Sealed } from './checkpoint-log.ts';
import { openCheckpointLog } from './checkpoint-log.ts';
import type { Checkpoint, SignedCheckpoint } from './checkpoint.ts';
import { signCheckpoint, toCheckpointRow } from './checkpoint.ts';
import { inTurns } from './in-turns.ts';
import { indexEntries } from './index-entries.ts';
import type { RootKey } from './root-key.ts';
import type { Growth, SealerMemory } from './seal-days.ts';
import { collectGrowth } from './seal-days.ts';
import type { Table } from './table.ts';

/** All that a sealer needs, and no more: it may run apart from every broker, under an identity of its own. */
export type SealerParts = {
  readonly audit: Pick<Table, 'list' | 'insert'>;
  readonly index: Pick<Table, 'list' | 'insert' | 'put'>;
  readonly root: RootKey;
  /** The root keys whose word counts, and the public URL of the broker. */
  readonly trust: ChainTrust;
  /** Where checkpoints are copied to; absent where nowhere. */
  readonly copies?: CheckpointCopies;
  readonly now: () => Date;
  readonly log: Log;
};

/** What a run has done. */
type SealRun = {
  /** The number of the checkpoint that it has made; undefined where there was no need or somebody else was faster. */
  readonly checkpoint: number | undefined;
  /** How many entries are sealed by that. */
  readonly entries: number;
  /** How many things are wrong. */
  readonly faults: number;
};

/** Seals the audit log. */
export type Sealer = {
  /**
   * Verifies what is new, writes it to the index, and seals it with one signed checkpoint. Of several sealers at once one
   * makes the checkpoint. What is broken is named and not sealed; all else is. Resolves within half a minute where the
   * tables answer; a run that fails or dies at any point is made up for by the next, in whatever process.
   */
  readonly seal: () => Promise<SealRun>;
};

type Run = SealerParts & {
  readonly checkpoints: CheckpointLog;
  readonly copier: CheckpointCopier | undefined;
  readonly memory: SealerMemory & {
    /** The last checkpoint of which the index says what it sealed. */
    placed: number;
    /** Whether any chain was announced on a day, by its number. */
    readonly searched: Map<number, boolean>;
  };
};

const maxEntries = 50_000;
const maxChains = 2000;
const runMilliseconds = 20_000;
const heartbeatMilliseconds = 3_600_000;
const dayMilliseconds = 86_400_000;
const oldestDays = 366;

// Who can forge one chain can forge any number.
const mostReported = 20;

/** Opens a sealer. Nothing is read before its first run. */
export function openSealer(parts: SealerParts): Sealer {
  const { audit, trust, now, copies } = parts;
  const memory = { busy: new Map(), doubts: new Map(), run: 0, placed: 0, searched: new Map() };
  const run: Run = {
    ...parts,
    checkpoints: openCheckpointLog({ list: audit.list, trust, now }),
    copier: copies === undefined ? undefined : openCheckpointCopier(audit.list, copies),
    memory,
  };
  return { seal: async () => seal(run) };
}

async function seal(run: Run): Promise<SealRun> {
  const { checkpoints, memory } = run;
  const sealed = await checkpoints.follow();
  const fault = sealed.fault ?? (await finish(run, sealed.last));
  if (fault !== undefined) return stop(run, [fault]);
  memory.run += 1;
  const growth = await collect(run, sealed);
  await report(run, growth.faults);
  if (growth.failure !== undefined) run.log('seal.interrupted', { failure: growth.failure });
  if (!isDue(run, sealed, growth))
    return { checkpoint: undefined, entries: 0, faults: growth.faults.length };
  return insertNext(run, sealed, growth);
}

async function collect(run: Run, sealed: Sealed): Promise<Growth> {
  const { audit, trust, now, memory, index } = run;
  const first = sealed.last === undefined ? await findOldestDay(run, sealed) : sealed.firstDay;
  for (const kept of [memory.busy, memory.doubts])
    for (const chain of kept.keys()) if (findDay(chain) < toDay(first)) kept.delete(chain);
  const reader = {
    list: audit.list,
    trust,
    now,
    memory,
    take: async (entries: Parameters<typeof indexEntries>[1]) => indexEntries(index, entries),
  };
  const until = new Date(now().getTime() + runMilliseconds);
  const bounds = { maxEntries, maxChains, until };
  return collectGrowth(reader, { ...sealed, firstDay: first }, bounds);
}

// Before the first checkpoint there is nothing to go by: the log may be older than its sealer.
async function findOldestDay({ audit, memory, now }: Run, { firstDay }: Sealed): Promise<Date> {
  const { searched } = memory;
  const today = Math.floor(now().getTime() / dayMilliseconds);
  // Once through all of them, and on with those that were not reached when the table failed.
  const days = Array.from({ length: oldestDays }, (_, i) => today - i);
  await inTurns(
    days.filter((day) => !searched.has(day)),
    async (day) => {
      const partition = `chains|${toDay(new Date(day * dayMilliseconds))}`;
      const [announced] = await audit.list(partition, { limit: 1 });
      searched.set(day, announced !== undefined);
    },
  );
  const oldest = days.findLast((day) => searched.get(day) === true) ?? today;
  return new Date(Math.min(oldest * dayMilliseconds, firstDay.getTime()));
}

function isDue({ now }: Run, { last }: Sealed, { heads, isComplete }: Growth): boolean {
  if (0 < heads.length) return true;
  // One without heads says that there was nothing more.
  const { time } = last?.checkpoint ?? {};
  return isComplete && time !== undefined && isOver(time, now());
}

function isOver(time: string, now: Date): boolean {
  return Date.parse(time) + heartbeatMilliseconds <= now.getTime();
}

async function insertNext(run: Run, sealed: Sealed, growth: Growth): Promise<SealRun> {
  const next = toNext(run, sealed.last, growth);
  const ahead = await findAhead(run, next.n);
  if (ahead !== undefined) return stop(run, [...growth.faults, ahead]);
  const signed = await signCheckpoint(run.root, next);
  const faults = growth.faults.length;
  // Inserted and never replaced: of two sealers that have read the same, one comes second and reads again.
  if ((await run.audit.insert(toCheckpointRow(signed))) === 'exists')
    return { checkpoint: undefined, entries: 0, faults };
  const fault = await finish(run, signed);
  if (fault !== undefined) return stop(run, [...growth.faults, fault]);
  return { checkpoint: next.n, entries: growth.entries, faults };
}

function toNext(
  { trust, now }: Run,
  last: SignedCheckpoint | undefined,
  { heads, entries }: Growth,
): Checkpoint {
  const time = now().toISOString();
  const before = last?.checkpoint;
  return {
    v: 1,
    n: (before?.n ?? 0) + 1,
    // Clocks may differ; checkpoints go forward.
    time: before === undefined || before.time < time ? time : before.time,
    issuer: trust.issuer,
    prev: last?.hash ?? null,
    entries: (before?.entries ?? 0) + entries,
    heads: heads.toSorted((one, other) => (one.chain < other.chain ? -1 : 1)),
  };
}

/**
 * Does what comes after a checkpoint: says in the index what it sealed, and copies it. A sealer that dies before leaves
 * this to the next, which does it before it makes another checkpoint.
 */
async function finish(
  run: Run,
  last: SignedCheckpoint | undefined,
): Promise<AuditFault | undefined> {
  if (last === undefined) return undefined;
  const { n, heads } = last.checkpoint;
  if (run.memory.placed !== n)
    await inTurns([...toHeadRows(n, heads).values()], async (rows) => run.index.put(rows));
  run.memory.placed = n;
  return attemptCopy(run, n, async (copier) => copier.copyUpTo(n));
}

async function findAhead(run: Run, n: number): Promise<AuditFault | undefined> {
  return attemptCopy(run, n, async (copier) => copier.findAhead(n));
}

// Without the container the log is sealed all the same, and copied later.
async function attemptCopy(
  { copier, log }: Run,
  checkpoint: number,
  work: (copier: CheckpointCopier) => Promise<AuditFault | undefined>,
): Promise<AuditFault | undefined> {
  try {
    return copier === undefined ? undefined : await work(copier);
  } catch (failure) {
    log('checkpoint.not-copied', { checkpoint, failure });
    return undefined;
  }
}

async function stop(run: Run, faults: readonly AuditFault[]): Promise<SealRun> {
  await report(run, faults);
  return { checkpoint: undefined, entries: 0, faults: faults.length };
}

async function report({ index, log, now }: Run, faults: readonly AuditFault[]): Promise<void> {
  for (const fault of faults.slice(0, mostReported)) {
    log('audit.broken', fault);
    await raiseAlarm(index, fault, now());
  }
}
