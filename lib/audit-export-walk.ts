import * as z from 'zod';
import { toDay } from './audit-entry.ts';
import { toDayStart } from './audit-export-line.ts';
import type { ChainLine, EntryLine, ExportLine } from './audit-export-line.ts';
import { joinParts } from './audit-parts.ts';
import { parseBody } from './audit-verify-entry.ts';
import { checkpointPartition, toCheckpointKey } from './checkpoint.ts';
import { BrokerError } from './failure.ts';
import type { StoredRow, Table, Value } from './table.ts';

export const planShape = z.strictObject({
  /** The first and the last day, `yyyy-mm-dd`. */
  from: z.iso.date(),
  to: z.iso.date(),
  asOf: z.iso.datetime({ precision: 3 }),
  /** The numbers of the first and the last checkpoint; no checkpoint when the last is 0. */
  first: z.int(),
  last: z.int(),
});

/** What an export holds, fixed when it begins. */
export type ExportPlan = z.infer<typeof planShape>;

export const placeShape = z.discriminatedUnion('part', [
  z.strictObject({ part: z.literal('header') }),
  z.strictObject({ part: z.literal('checkpoints'), row: z.string() }),
  /** The row of a chain that is next; the chain itself when that is empty. */
  z.strictObject({
    part: z.literal('chains'),
    day: z.string(),
    chain: z.string(),
    row: z.string(),
  }),
]);

/** Where an export goes on. */
export type ExportPlace = z.infer<typeof placeShape>;

/** The next line, if any, where to go on after it, and the share that lies behind then, from 0 to 1. */
export type ExportStep = {
  readonly line?: ExportLine;
  readonly place: ExportPlace;
  readonly progress: number;
};

type List = Table['list'];

const rowsPerCall = 500;
const dayMilliseconds = 86_400_000;

// A chain says after which entry of another one it goes on, and that other one may have been read already. So chains are
// left out that were opened after the export began, and checkpoints that may seal them: by a little more than the clocks
// of brokers differ.
const chainMilliseconds = 5000;

/** How much younger than an export its last checkpoint must not be. */
export const checkpointMilliseconds = 10_000;

// A busy chain would have no end otherwise.
const entryMilliseconds = 60_000;

// Keys of rows are printable ASCII: these stand before and behind all of them, and at the end of one, just behind it.
const beforeAll = '0';
const behindAll = '~';
const least = ' ';

/** Reads what an export holds from a place on, as it is stored, row by row. Verifies nothing. */
export async function* walkExport(
  list: List,
  issuer: string,
  plan: ExportPlan,
  place: ExportPlace,
): AsyncGenerator<ExportStep, void> {
  const days = [...toDays(plan)];
  const firstDay = { part: 'chains', day: days[0] ?? '', chain: '', row: '' } as const;
  if (place.part === 'header') {
    const { from, to, asOf: time } = plan;
    const next = { part: 'checkpoints', row: toCheckpointKey(plan.first) } as const;
    yield { line: { line: 'header', v: 1, issuer, from, to, time }, place: next, progress: 0 };
  }
  if (place.part !== 'chains')
    yield* walkCheckpoints(list, plan, place.part === 'header' ? undefined : place.row);
  const start = place.part === 'chains' ? place : firstDay;
  for (const [index, day] of days.entries()) {
    if (day < start.day) continue;
    const from = day === start.day ? start : { chain: '', row: '' };
    for await (const { progress, ...step } of walkDay(list, plan, day, from))
      // The checkpoints count as much as a day.
      yield { ...step, progress: (1 + index + progress) / (1 + days.length) };
  }
}

async function* walkCheckpoints(
  list: List,
  { first, last }: ExportPlan,
  from = toCheckpointKey(first),
): AsyncGenerator<ExportStep, void> {
  const before = toCheckpointKey(last + 1);
  for (let next = from; next < before;) {
    const rows = await list(checkpointPartition, { from: next, before, limit: rowsPerCall });
    for (const row of rows) {
      next = toNext(row);
      const progress = (toSequence(row.row) - first + 1) / (last - first + 1);
      yield { line: toCheckpointLine(row), place: { part: 'checkpoints', row: next }, progress };
    }
    if (rows.length < rowsPerCall) return;
  }
}

async function* walkDay(
  list: List,
  plan: ExportPlan,
  day: string,
  from: { readonly chain: string; readonly row: string },
): AsyncGenerator<ExportStep, void> {
  const chains = await list(`chains|${day}`);
  for (const [index, announcement] of chains.entries()) {
    if (announcement.row < from.chain) continue;
    const row = announcement.row === from.chain ? from.row : '';
    for await (const { progress, ...step } of walkChain(list, plan, { announcement, day }, row))
      yield { ...step, progress: (index + progress) / chains.length };
  }
  yield { place: { part: 'chains', day, chain: behindAll, row: '' }, progress: 1 };
}

// The day is that of its partition, which a forged id need not share.
type Announced = { readonly announcement: StoredRow; readonly day: string };

async function* walkChain(
  list: List,
  { asOf }: ExportPlan,
  { announcement, day }: Announced,
  from: string,
): AsyncGenerator<ExportStep, void> {
  const chain = announcement.row;
  const start = Date.parse(asOf);
  const toPlace = (row: string): ExportPlace => ({ part: 'chains', day, chain, row });
  let isNew = from === '';
  for (let next = from; ;) {
    const { rows, isLast, isUnreadable } = await readRows(list, chain, next);
    if (isNew && !isUnreadable && !isOpen(rows, start - chainMilliseconds)) return;
    if (isNew) yield { line: toChainLine(announcement), place: toPlace(beforeAll), progress: 0 };
    isNew = false;
    for (const row of rows) {
      const time = findTime(row);
      if (start + entryMilliseconds < time) return;
      next = toNext(row);
      yield { line: toEntryLine(row), place: toPlace(next), progress: toShare(time, day, start) };
    }
    if (isUnreadable) yield { line: toUnreadable(chain), place: toPlace(behindAll), progress: 1 };
    if (isLast) return;
  }
}

/** Whether a chain with these first rows had been opened by a time. */
function isOpen([first]: readonly StoredRow[], time: number): boolean {
  return first !== undefined && findTime(first) <= time;
}

type Rows = {
  readonly rows: readonly StoredRow[];
  readonly isLast: boolean;
  readonly isUnreadable: boolean;
};

// Who may add rows could add one of a form that no table of ours has, and no page that holds it can be read. It must not
// keep the rest from being exported.
async function readRows(
  list: List,
  chain: string,
  from: string,
  limit = rowsPerCall,
): Promise<Rows> {
  try {
    const rows = await list(chain, { from, limit });
    return { rows, isLast: rows.length < limit, isUnreadable: false };
  } catch (failure) {
    if (failure instanceof BrokerError) throw failure;
    if (limit === 1) return { rows: [], isLast: true, isUnreadable: true };
    return readRows(list, chain, from, 1);
  }
}

/** Returns a line that no verifier lets pass, in place of a row that cannot be read. */
function toUnreadable(chain: string): ExportLine {
  return { line: 'entry', chain, seq: 0, b: '', h: '' };
}

/** Returns when an entry was composed, in milliseconds since the epoch. One that cannot be read is for the verifier. */
function findTime({ values }: StoredRow): number {
  const time = parseBody(joinParts(values))?.time;
  return time === undefined ? 0 : Date.parse(time);
}

// How many entries a chain has is not known before its end, but its day is.
function toShare(time: number, day: string, asOf: number): number {
  const start = toDayStart(day);
  const length = Math.min(dayMilliseconds, Math.max(1, asOf - start));
  return Math.min(1, Math.max(0, (time - start) / length));
}

/** Returns the least key behind that of a row. */
function toNext({ row }: StoredRow): string {
  return `${row}${least}`;
}

function* toDays({ from, to }: ExportPlan): Generator<string, void> {
  for (let day = Date.parse(from); day <= Date.parse(to); day += dayMilliseconds)
    yield toDay(new Date(day));
}

/** Returns a checkpoint as it stands in an export, and in the copies. */
export function toCheckpointLine({ row, values: { h, s, kid, ...values } }: StoredRow): ExportLine {
  return {
    line: 'checkpoint',
    n: toSequence(row),
    b: joinParts(values),
    h: toText(h),
    s: toText(s),
    kid: toText(kid),
  };
}

/** Returns an announcement as it stands in an export. */
export function toChainLine({ row, values }: StoredRow): ChainLine {
  return {
    line: 'chain',
    chain: row,
    writer: toText(values['writer']),
    version: toText(values['version']),
    key: toText(values['key']),
    endorsement: toText(values['endorsement']),
  };
}

/** Returns an entry as it stands in an export. */
export function toEntryLine({ partition, row, values }: StoredRow): EntryLine {
  const { h, s, kid } = values;
  return {
    line: 'entry',
    chain: partition,
    seq: toSequence(row),
    b: joinParts(values),
    h: toText(h),
    ...(s === undefined ? {} : { s: toText(s) }),
    ...(kid === undefined ? {} : { kid: toText(kid) }),
  };
}

// A key that is none becomes a place that no entry has.
function toSequence(row: string): number {
  return /^\d{12}$/.test(row) ? Number(row) : 0;
}

function toText(value: Value | undefined): string {
  return typeof value === 'string' ? value : '';
}
