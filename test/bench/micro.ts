import type { Effort } from './effort.ts';
import type { Figure, Part } from './figure.ts';
import { toFigure } from './figure.ts';

/** A call whose cost is measured. It throws when it did not do its work. */
export type Call = {
  readonly name: string;
  readonly run: () => void;
  /** The name of an earlier call to compare it with. */
  readonly base?: string;
};

/** Measures calls in turns, so that whatever else the machine does falls on all alike. A sample is the mean of a batch. */
export function measureCalls(
  title: string,
  calls: readonly Call[],
  { batches, calls: perBatch }: Pick<Effort, 'batches' | 'calls'>,
): Part {
  for (const call of calls) timeBatch(call, perBatch);
  const samples = calls.map((): number[] => []);
  for (let batch = 0; batch < batches; batch += 1)
    for (const [i, call] of calls.entries()) samples[i]?.push(timeBatch(call, perBatch));
  const figures = toFigures(calls, 'µs', samples);
  const notes = [`Each sample is the mean of ${String(perBatch)} calls.`];
  return { title, figures, notes };
}

/** Something that takes milliseconds, and is measured one by one. Rejects when it did not do its work. */
export type Step = Omit<Call, 'run'> & { readonly run: () => Promise<void> };

/** Measures steps in turns. */
export async function measureSteps(
  title: string,
  steps: readonly Step[],
  rounds: number,
): Promise<Part> {
  const samples = steps.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [i, { run }] of steps.entries()) {
      const startedAt = performance.now();
      await run();
      samples[i]?.push(performance.now() - startedAt);
    }
  return { title, figures: toFigures(steps, 'ms', samples), notes: [] };
}

/** Returns the figure of each call, compared with the one that it names. */
function toFigures(
  calls: readonly Pick<Call, 'name' | 'base'>[],
  unit: string,
  samples: readonly (readonly number[])[],
): readonly Figure[] {
  const figures: Figure[] = [];
  for (const [i, { name, base }] of calls.entries()) {
    const found = figures.find((figure) => figure.name === base);
    const measured = { name, unit, ...(found === undefined ? {} : { base: found }) };
    figures.push(toFigure(measured, samples[i] ?? []));
  }
  return figures;
}

/** Returns the microseconds of a call, as the mean of a batch. */
function timeBatch({ run }: Call, calls: number): number {
  const startedAt = performance.now();
  for (let i = 0; i < calls; i += 1) run();
  return ((performance.now() - startedAt) / calls) * 1000;
}
