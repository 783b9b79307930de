import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseRuns } from '../support/effort.ts';
import type { FeedBench, FeedWriter } from '../support/feed-bench.ts';
import { drain, startFeedBench } from '../support/feed-bench.ts';
import { collectLogLines } from '../support/log-lines.ts';
import type { FindTableFault, TableFault } from '../support/memory-table.ts';

collectLogLines();

const writer = fc.nat(3);

/** What happens, one after the other. A writer that was killed is started again when it is needed. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    writer,
    count: fc.integer({ min: 1, max: 30 }),
  }),
  fc.record({ kind: fc.constantFrom('kill' as const, 'close' as const), writer }),
  fc.record({ kind: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 900 }) }),
  fc.record({
    kind: fc.constant('poll' as const),
    limit: fc.integer({ min: 1, max: 60 }),
    // The answer is lost, or its reader dies before it has stored it.
    isLost: fc.boolean(),
  }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const faults = fc.infiniteStream(
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom<TableFault>('before', 'after') },
  ),
);

type Run = FeedBench & {
  readonly skews: readonly number[];
  readonly writers: Map<number, FeedWriter>;
  readonly acknowledged: string[];
  readonly handedOut: Map<string, number[]>;
  cursor: string;
};

async function append(run: Run, index: number, count: number): Promise<void> {
  const found = run.writers.get(index) ?? run.startWriter(run.skews[index]);
  run.writers.set(index, found);
  for (const { chain, sequence } of await found.append(count))
    run.acknowledged.push(`${chain}:${String(sequence)}`);
}

async function poll(run: Run, limit: number, isLost: boolean): Promise<void> {
  const query = { limit: String(limit), cursor: run.cursor };
  const { value, cursor } = await run.poll(query);
  if (isLost) return;
  keep(run, value);
  run.cursor = cursor;
}

function keep(
  run: Run,
  entries: readonly { readonly chain: string; readonly seq: number }[],
): void {
  for (const { chain, seq } of entries) {
    const places = run.handedOut.get(chain) ?? [];
    run.handedOut.set(chain, [...places, seq]);
  }
}

async function take(run: Run, next: Step): Promise<void> {
  if (next.kind === 'append') await append(run, next.writer, next.count);
  if (next.kind === 'pass') run.clock.pass(next.minutes * 60);
  if (next.kind === 'poll') await poll(run, next.limit, next.isLost);
  if (next.kind === 'close') await run.writers.get(next.writer)?.close();
  if (next.kind === 'kill' || next.kind === 'close') run.writers.delete(next.writer);
}

/** Runs the steps on a new bench, lets three days pass, and reads what is left. */
async function runSteps(
  steps: readonly Step[],
  skews: readonly number[],
  findFault: FindTableFault,
): Promise<Run> {
  const bench = startFeedBench(findFault);
  const { cursor } = await bench.poll({ from: '2026-03-01' });
  const run: Run = {
    ...bench,
    skews,
    writers: new Map(),
    acknowledged: [],
    handedOut: new Map(),
    cursor,
  };
  for (const next of steps) await take(run, next);
  run.clock.pass(3 * 86_400);
  keep(run, (await drain(bench, { cursor: run.cursor })).entries);
  for (const all of run.handedOut.values()) expect(all).toEqual(all.map((_, index) => index + 1));
  return run;
}

function listPlaces({ handedOut }: Run): readonly string[] {
  return [...handedOut].flatMap(([chain, all]) => all.map((seq) => `${chain}:${String(seq)}`));
}

const skews = fc.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: -2700, max: 2700 })));
const steps = fc.array(step, { minLength: 1, maxLength: 40 });
const effort = { numRuns: chooseRuns({ short: 20, full: 300, long: 20_000 }) };

describe('the feed of the audit log', () => {
  test('hands out all that was acknowledged, once and each chain in its order, whichever writes are lost or not answered', async () => {
    const isWrite = new Set(['insert', 'insertAll']);
    const property = fc.asyncProperty(steps, skews, faults, async (planned, clocks, stream) => {
      const run = await runSteps(planned, clocks, (operation) =>
        isWrite.has(operation) ? [...stream.take(1)][0] : undefined,
      );
      expect(listPlaces(run)).toEqual(expect.arrayContaining(run.acknowledged));
    });
    await fc.assert(property, effort);
  });

  test('hands out all that was stored, whoever writes, ends, is killed, or has another clock', async () => {
    const property = fc.asyncProperty(steps, skews, async (planned, clocks) => {
      const run = await runSteps(planned, clocks, () => undefined);
      const stored = run.audit
        .rows()
        .filter(({ partition }) => !partition.startsWith('chains|'))
        .map(({ partition, row }) => `${partition}:${String(Number(row))}`);
      expect([...listPlaces(run)].sort()).toEqual(stored.sort());
    });
    await fc.assert(property, effort);
  });
});
