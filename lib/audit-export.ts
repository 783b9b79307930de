import * as z from 'zod';
import type { ExportLine } from './audit-export-line.ts';
import { formatLine, leadMilliseconds } from './audit-export-line.ts';
import type { ExportPlace, ExportPlan } from './audit-export-walk.ts';
import { checkpointMilliseconds, placeShape, planShape, walkExport } from './audit-export-walk.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { Listing } from './continuation.ts';
import { readContinuation, signContinuation } from './continuation.ts';
import { BrokerError } from './failure.ts';
import { findLastCheckpoint } from './find-checkpoint.ts';
import { requireRole } from './role.ts';
import type { Table } from './table.ts';

/** The query of `GET /api/audit/export`. */
export const exportQueryShape = z.strictObject({
  from: z.iso.date().describe('The first day (UTC).'),
  to: z.iso.date().exactOptional().describe('The last day (UTC); today when absent.'),
  asOf: z.iso
    .datetime({ offset: true })
    .exactOptional()
    .describe('As of when; now when absent. An export that was broken off can be gone on with.'),
  after: z.string().max(8192).exactOptional().describe('From the last line of the page before.'),
});

export type ExportQuery = z.infer<typeof exportQueryShape>;

const positionShape = z.strictObject({
  plan: planShape,
  place: placeShape,
  counts: z.strictObject({ entries: z.int(), checkpoints: z.int(), chains: z.int() }),
});

type Position = z.infer<typeof positionShape>;

const maxPageBytes = 4 * 1024 * 1024;
const maxPageMilliseconds = 10_000;

/**
 * Returns a page of the audit log as NDJSON: checkpoints, chains and entries as they are stored, for an offline verifier.
 * The last line is `next` or, on the last page, `end`. A page holds about 4 MiB and takes about ten seconds at most. That
 * somebody exports is recorded before the first page.
 */
export async function exportAudit(
  broker: Broker,
  caller: Caller,
  query: ExportQuery,
): Promise<string> {
  requireRole(caller, 'Audit.Read');
  const { list } = broker.audit;
  if (list === undefined)
    throw new BrokerError('audit-unavailable', 'The audit log cannot be read back here.');
  const { after, ...asked } = query;
  const listing = { list: 'audit-export', caller: caller.id, query: asked };
  const position =
    after === undefined
      ? await begin(broker, caller, asked, list)
      : await readContinuation(broker, listing, after, positionShape);
  return composePage(broker, listing, position, list);
}

async function begin(
  broker: Broker,
  { id, name }: Caller,
  { from, to, asOf }: ExportQuery,
  list: Table['list'],
): Promise<Position> {
  const now = broker.now();
  const time = asOf === undefined || now < new Date(asOf) ? now : new Date(asOf);
  const today = time.toISOString().slice(0, 10);
  const last = to === undefined || today < to ? today : to;
  if (last < from)
    throw new BrokerError('request-invalid', 'Ask for days that are not in the future, in order.', {
      faults: [{ pointer: '/from', detail: 'Give an earlier day.' }],
    });
  await broker.audit.append([{ type: 'audit.exported', caller: { id, name }, from, to: last }]);
  const plan: ExportPlan = {
    from,
    to: last,
    asOf: time.toISOString(),
    ...(await findEnds(list, from, time)),
  };
  return { plan, place: { part: 'header' }, counts: { entries: 0, checkpoints: 0, chains: 0 } };
}

async function findEnds(
  list: Table['list'],
  from: string,
  time: Date,
): Promise<Pick<ExportPlan, 'first' | 'last'>> {
  const [before, last] = await Promise.all([
    findLastCheckpoint(list, new Date(Date.parse(from) - leadMilliseconds)),
    findLastCheckpoint(list, new Date(time.getTime() - checkpointMilliseconds)),
  ]);
  return { first: Math.max(1, before), last };
}

async function composePage(
  broker: Broker,
  listing: Listing,
  { plan, place: start, counts: before }: Position,
  list: Table['list'],
): Promise<string> {
  const until = broker.now().getTime() + maxPageMilliseconds;
  const lines: string[] = [];
  const counts = { ...before };
  let sizeBytes = 0;
  let reached: { readonly place: ExportPlace; readonly progress: number } | undefined;
  for await (const step of walkExport(list, broker.url.origin, plan, start)) {
    const text = step.line === undefined ? '' : formatLine(step.line);
    sizeBytes += Buffer.byteLength(text) + 1;
    const isFull = maxPageBytes < sizeBytes || until <= broker.now().getTime();
    if (isFull && reached !== undefined) {
      const { place, progress } = reached;
      const after = await signContinuation(broker, listing, { plan, place, counts });
      return toText([...lines, formatLine({ line: 'next', after, progress })]);
    }
    if (step.line !== undefined) {
      lines.push(text);
      count(counts, step.line);
    }
    reached = step;
  }
  return toText([...lines, formatLine({ line: 'end', ...counts })]);
}

function count(counts: Position['counts'], { line }: ExportLine): void {
  if (line === 'entry') counts.entries += 1;
  else if (line === 'checkpoint') counts.checkpoints += 1;
  else if (line === 'chain') counts.chains += 1;
}

function toText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
