import { findDay, toDay } from './audit-entry.ts';
import type { StoredEntry } from './audit-verify-entry.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import type { ChainTrust } from './audit-verify-key.ts';
import { isFault } from './checkpoint-check.ts';
import type { Sealed, SealedHead } from './checkpoint-log.ts';
import type { ChainHead } from './checkpoint.ts';
import { BrokerError } from './failure.ts';
import type { ChainLooked } from './seal-chain.ts';
import { lookAtChain } from './seal-chain.ts';
import type { StoredRow, Table } from './table.ts';

/** What a sealer reads, where it hands verified entries on, and what it remembers between its runs. */
export type DayReader = {
  /** Lists rows of the audit table. */
  readonly list: Table['list'];
  readonly trust: ChainTrust;
  readonly take: (entries: readonly StoredEntry[]) => Promise<void>;
  readonly now: () => Date;
  readonly memory: SealerMemory;
};

/** What one process remembers of chains; nothing depends on it but what a run costs, and how soon a doubt is a fault. */
export type SealerMemory = {
  /** In which run something new was last found in a chain, or nothing for the first time. */
  readonly busy: Map<string, number>;
  /** Since when a chain has had entries at its end that nobody signed, and from which one on. */
  readonly doubts: Map<string, { readonly sequence: number; readonly since: number }>;
  /** The number of this run. */
  run: number;
};

/** How much one run may take on: not much more than so many entries, of so many chains, and nothing new after `until`. */
export type Bounds = {
  readonly maxEntries: number;
  readonly maxChains: number;
  readonly until: Date;
};

/** What has been verified and may be sealed. */
export type Growth = {
  readonly heads: readonly ChainHead[];
  readonly entries: number;
  readonly faults: readonly AuditFault[];
  /** Whether all days were gone through; otherwise `failure` says what came between, or the bounds were reached. */
  readonly isComplete: boolean;
  readonly failure?: unknown;
};

const dayMilliseconds = 86_400_000;

// Processes that were killed leave chains without an end. What is long silent is looked at in turns.
const busyChains = 32;
const turns = 8;

const doubtMilliseconds = 60_000;

/**
 * Goes through the chains of all days that may hold something new, day after day, and verifies it. INVARIANT: of the days
 * before that of the last head, everything is in the growth that was stored when the run began, but for broken chains.
 */
export async function collectGrowth(
  reader: DayReader,
  sealed: Pick<Sealed, 'heads' | 'firstDay'>,
  bounds: Bounds,
): Promise<Growth> {
  const growth: Growing = { heads: [], entries: 0, faults: [] };
  try {
    for (const day of listDays(sealed.firstDay, reader.now()))
      if (!(await readDay(reader, { day, sealed: sealed.heads, bounds }, growth)))
        return { ...growth, isComplete: false };
    return { ...growth, isComplete: true };
  } catch (failure) {
    // What was verified until now can be sealed all the same.
    if (!(failure instanceof BrokerError)) throw failure;
    return { ...growth, isComplete: false, failure };
  }
}

type Day = {
  readonly day: string;
  readonly sealed: ReadonlyMap<string, SealedHead>;
  readonly bounds: Bounds;
};

type Growing = { readonly heads: ChainHead[]; entries: number; readonly faults: AuditFault[] };

/** Adds what the chains of a day have gained, and returns whether that was all. */
async function readDay(reader: DayReader, day: Day, growing: Growing): Promise<boolean> {
  const { sealed, bounds } = day;
  const announced = await readAnnounced(reader, day.day);
  if (isFault(announced)) {
    growing.faults.push(announced);
    return true;
  }
  growing.faults.push(...findMissing(day, announced), ...findMisplaced(day, announced));
  // One that stands under two days must not be sealed twice.
  const placed = announced.filter(({ row }) => findDay(row) === day.day);
  for (const row of chooseChains(reader.memory, placed, sealed)) {
    const maxEntries = bounds.maxEntries - growing.entries;
    const isFull = maxEntries <= 0 || bounds.maxChains <= growing.heads.length;
    // However slow the tables are, a run gets a little on.
    const isLate = 0 < growing.entries && bounds.until <= reader.now();
    if (isFull || isLate) return false;
    const chain = row.row;
    const head = sealed.get(chain);
    const look = { announced: row, sealed: head, maxEntries, until: bounds.until };
    const looked = await lookAtChain(reader, look);
    growing.faults.push(...findFaults(reader, chain, looked));
    remember(reader.memory, chain, looked);
    if (isFault(looked)) continue;
    grow(growing, chain, head, looked);
    if (looked.failure !== undefined) throw looked.failure;
  }
  return true;
}

function grow(
  growing: Growing,
  chain: string,
  sealed: SealedHead | undefined,
  { head }: ChainLooked,
): void {
  if (head === undefined) return;
  const { sequence, hash, isClosed } = head;
  growing.heads.push({ chain, seq: sequence, hash, closed: isClosed });
  growing.entries += sequence - (sealed?.sequence ?? 0);
}

async function readAnnounced(
  { list }: DayReader,
  day: string,
): Promise<readonly StoredRow[] | AuditFault> {
  try {
    return await list(`chains|${day}`);
  } catch (failure) {
    if (failure instanceof BrokerError) throw failure;
    const detail = `The announcements of the chains of ${day} cannot be read.`;
    return { code: 'chain-altered', chain: `chains|${day}`, detail };
  }
}

function findMissing({ day, sealed }: Day, announced: readonly StoredRow[]): readonly AuditFault[] {
  const there = new Set(announced.map(({ row }) => row));
  return [...sealed]
    .filter(([chain]) => findDay(chain) === day && !there.has(chain))
    .map(([chain, { n }]) => {
      const detail = `Chain ${chain}, which checkpoint ${n} sealed, is not announced any more.`;
      return { code: 'chain-missing', chain, detail };
    });
}

function findMisplaced({ day }: Day, announced: readonly StoredRow[]): readonly AuditFault[] {
  return announced
    .filter(({ row }) => findDay(row) !== day)
    .map(({ row }) => {
      const detail = `Chain ${row} is announced under ${day}, which is not its day.`;
      return { code: 'chain-misplaced', chain: row, detail };
    });
}

function chooseChains(
  { busy, run }: SealerMemory,
  announced: readonly StoredRow[],
  sealed: ReadonlyMap<string, SealedHead>,
): readonly StoredRow[] {
  // Those that this process has never looked at come first, and none of them is left out.
  const toRank = ({ row }: StoredRow): number => busy.get(row) ?? Number.POSITIVE_INFINITY;
  const findSeal = ({ row }: StoredRow): number => sealed.get(row)?.n ?? 0;
  return (
    announced
      .filter(({ row }) => sealed.get(row)?.isClosed !== true)
      .toSorted((one, other) => compare(toRank(other), toRank(one)))
      .filter((row, i) => i < busyChains || !busy.has(row.row) || findTurn(row) === run % turns)
      // When there is more than one run can take on, everyone gets on.
      .toSorted((one, other) => compare(findSeal(one), findSeal(other)))
  );
}

function compare(one: number, other: number): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

// By the id and not by the place among the others, which changes as the turns do.
function findTurn({ row }: StoredRow): number {
  return Number.parseInt(row.slice(-1), 16) % turns;
}

function remember(
  { busy, run }: SealerMemory,
  chain: string,
  looked: ChainLooked | AuditFault,
): void {
  const isNew = !isFault(looked) && looked.head !== undefined;
  if (isNew || !busy.has(chain)) busy.set(chain, run);
}

function findFaults(
  { memory: { doubts }, now }: DayReader,
  chain: string,
  looked: ChainLooked | AuditFault,
): readonly AuditFault[] {
  if (isFault(looked)) return [looked];
  const { before, doubt } = looked;
  const found = before === undefined ? [] : [before];
  if (doubt === undefined) {
    doubts.delete(chain);
    return found;
  }
  const { sequence = 0 } = doubt;
  const at = now().getTime();
  const first = doubts.get(chain);
  const since = first?.sequence === sequence ? first.since : at;
  doubts.set(chain, { sequence, since });
  return since + doubtMilliseconds <= at ? [...found, doubt] : found;
}

function* listDays(first: Date, now: Date): Generator<string, void> {
  const last = toDay(now);
  for (let at = first.getTime(); toDay(new Date(at)) <= last; at += dayMilliseconds)
    yield toDay(new Date(at));
}
