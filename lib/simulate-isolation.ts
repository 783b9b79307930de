import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as z from 'zod';
import { decisionInputShape } from './decision.ts';
import { outcomeShape } from './explain-view.ts';
import { checkIsolated, type Isolation, policyFilesShape } from './policy-isolation.ts';
import type { Finding, PolicyFile } from './policy-scan.ts';

/** What a worker is given: a set that has been found sound, and what to ask it. */
export const trialShape = z.strictObject({
  files: policyFilesShape,
  inputs: z.array(decisionInputShape),
});

type Trial = z.infer<typeof trialShape>;

const verdictsShape = z.array(z.object({ outcome: outcomeShape, policies: z.array(z.string()) }));

/** What a set says to one input. */
export type Verdict = z.infer<typeof verdictsShape>[number];

/** Where a set from outside is read and evaluated. */
export type Trials = {
  /** Returns what is to be repaired in the files, nothing when they are sound. */
  readonly check: (files: readonly PolicyFile[]) => Promise<readonly Finding[]>;
  /** Returns what a sound set decides about each input, or undefined when it did not come to an end. */
  readonly decide: (trial: Trial) => Promise<readonly Verdict[] | undefined>;
};

const checkMilliseconds = 30_000;
const decideMilliseconds = 60_000;

/** Returns trials in threads of their own, each stopped in time. They run these scripts: the sources or bundles of `policy-worker.ts` and `simulate-worker.ts`. */
export function isolateTrials(workers: { readonly check: URL; readonly decide: URL }): Trials {
  const isolate = (worker: URL, milliseconds: number): Isolation => ({
    worker,
    signal: AbortSignal.timeout(milliseconds),
  });
  return {
    check: async (files) => checkIsolated(files, isolate(workers.check, checkMilliseconds)),
    decide: async (trial) => decideIsolated(trial, isolate(workers.decide, decideMilliseconds)),
  };
}

/**
 * Returns what a set from outside decides about each input, or undefined when its thread broke or was stopped. The set
 * is loaded in a thread with its own memory, which is stopped when the signal says so.
 */
async function decideIsolated(
  trial: Trial,
  { worker: script, signal }: Isolation,
): Promise<readonly Verdict[] | undefined> {
  const worker = new Worker(script, {
    workerData: trial,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  });
  try {
    const verdicts = verdictsShape.parse(await readAnswer(worker, signal));
    return verdicts.length === trial.inputs.length ? verdicts : undefined;
  } catch {
    return undefined;
  } finally {
    await worker.terminate();
  }
}

async function readAnswer(worker: Worker, signal: AbortSignal): Promise<unknown> {
  const done = new AbortController();
  const until = { signal: AbortSignal.any([signal, done.signal]) };
  try {
    // A thread that runs out of memory exits without a word.
    const exit = once(worker, 'exit', until).then(() => {
      throw new Error('the worker ended without an answer');
    });
    const answer: readonly unknown[] = await Promise.race([once(worker, 'message', until), exit]);
    return answer[0];
  } finally {
    done.abort();
  }
}
