import * as z from 'zod';
import { isSilent, listChains, takeFollowing } from './announced-chain.ts';
import { findDay, toDay } from './audit-entry.ts';
import { joinParts } from './audit-parts.ts';
import { parseJson } from './json.ts';
import { toEntryKey } from './seal-chain.ts';
import type { StoredRow, Table } from './table.ts';

/** An entry as it stands in the audit log, unverified. */
export type Entry = {
  readonly chain: string;
  readonly sequence: number;
  /** When it was composed, ISO 8601; empty where it cannot be read. */
  readonly time: string;
  readonly hash: string;
  readonly body: Readonly<Record<string, unknown>>;
};

/** Entries that follow each other in one chain, and those just before them that were handed on already. */
export type Addition = { readonly entries: readonly Entry[]; readonly before: readonly Entry[] };

/** One who reads the audit log as it grows. */
export type Reader = {
  /** Lists rows of the audit table. */
  readonly list: Table['list'];
  /** The table that keeps how far the reader has come in each chain, and the partition for it. */
  readonly state: Table;
  readonly partition: string;
  /** How many of the entries before an addition are wanted with it. */
  readonly context: number;
  readonly now: () => Date;
};

type Position = {
  readonly chain: string;
  readonly sequence: number;
  /** When its last entry was composed, in milliseconds since the epoch. */
  readonly at: number;
  readonly isOver: boolean;
};

const dayMilliseconds = 86_400_000;
const pageEntries = 500;

// Processes that were killed leave chains without an end. What is long silent is looked at in turns.
const busyChains = 32;
const turns = 8;
const turnMilliseconds = 15_000;

const forgottenPerRun = 100;

// Rows that do not follow the others are handed on in the last hour that a chain is looked at.
const lastMilliseconds = 3_600_000;

/**
 * Hands on what was added to the chains of the last days since the last time, oldest first in each chain. What
 * `take` has resolved for does not come again; what it fails for, or a process dies of, comes again. Begins nothing new
 * once it is `until`. One process at a time may follow for one reader.
 */
export async function followAudit(
  reader: Reader,
  until: Date,
  take: (addition: Addition) => Promise<void>,
): Promise<void> {
  const now = reader.now();
  const rows = await reader.state.list(reader.partition);
  const positions = new Map(rows.map(toPosition).map((position) => [position.chain, position]));
  const days = findDays(now);
  await forget(reader, rows, days[0] ?? '');
  const announced = await Promise.all(days.map(async (day) => listChains(reader.list, day)));
  const chains = announced
    .flat()
    .map((chain) => positions.get(chain) ?? { chain, sequence: 0, at: 0, isOver: false });
  for (const position of chooseChains(chains, now))
    if (reader.now() < until) await followChain(reader, position, until, take);
}

/** Returns the days whose chains may still grow, oldest first. */
function findDays(now: Date): readonly string[] {
  const before = new Date(now.getTime() - lastMilliseconds);
  return [2, 1, 0]
    .map((days) => toDay(new Date(now.getTime() - days * dayMilliseconds)))
    .filter((day) => !isSilent(day, before));
}

async function forget(
  { state }: Reader,
  rows: readonly StoredRow[],
  firstDay: string,
): Promise<void> {
  const old = rows.filter(({ row }) => row < firstDay).slice(0, forgottenPerRun);
  await Promise.all(old.map(async ({ partition, row }) => state.remove(partition, row)));
}

function chooseChains(chains: readonly Position[], now: Date): readonly Position[] {
  const turn = Math.floor(now.getTime() / turnMilliseconds) % turns;
  // Those that nobody has looked at come first, then the busiest.
  const toRank = ({ sequence, at }: Position): number => (sequence === 0 ? now.getTime() : at);
  return chains
    .filter(({ isOver }) => !isOver)
    .toSorted((one, other) => toRank(other) - toRank(one))
    .filter(({ chain }, index) => index < busyChains || findTurn(chain) === turn);
}

// By the id and not by the place among the others, which changes as the turns do.
function findTurn(chain: string): number {
  return Number.parseInt(chain.slice(-1), 16) % turns;
}

async function followChain(
  reader: Reader,
  position: Position,
  until: Date,
  take: (addition: Addition) => Promise<void>,
): Promise<void> {
  const { chain, sequence } = position;
  const isChainSilent = isSilent(findDay(chain), reader.now());
  const from = toEntryKey(Math.max(0, sequence + 1 - reader.context));
  const rows = await reader.list(chain, { from, limit: pageEntries });
  const before = rows.filter(({ row }) => row <= toEntryKey(sequence)).map(toEntry);
  const next = takeFollowing(rows.slice(before.length), sequence, isChainSilent);
  const entries = next.map(toEntry);
  const last = entries.at(-1);
  if (last === undefined)
    return isChainSilent ? keep(reader, { ...position, isOver: true }) : undefined;
  await take({ entries, before });
  const at = new Date(last.time).getTime();
  const isOver = last.body['type'] === 'chain.closed';
  const reached = { chain, sequence: last.sequence, at: Number.isNaN(at) ? 0 : at, isOver };
  await keep(reader, reached);
  if (rows.length === pageEntries && reader.now() < until)
    await followChain(reader, reached, until, take);
}

async function keep({ state, partition }: Reader, position: Position): Promise<void> {
  const { chain, ...values } = position;
  await state.put([{ partition, row: chain, values }]);
}

const positionShape = z.object({ sequence: z.int(), at: z.int(), isOver: z.boolean() });

function toPosition({ row, values }: StoredRow): Position {
  return { chain: row, ...positionShape.parse(values) };
}

const bodyShape = z.looseObject({ time: z.string() });

// An entry that cannot be read is for the verifier to find. Here it is one of no known type, and holds nobody up.
function toEntry({ partition, row, values }: StoredRow): Entry {
  const body = bodyShape.safeParse(parseJson(joinParts(values))).data ?? { time: '' };
  const hash = String(values['h']);
  return { chain: partition, sequence: Number(row), time: body.time, hash, body };
}
