import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as z from 'zod';
import { decisionInputShape } from './decision.ts';
import { type Isolation, policyFilesShape } from './policy-isolation.ts';

/** What a worker is given: a set that has been found sound, and what to ask it. */
export const trialShape = z.strictObject({
  files: policyFilesShape,
  inputs: z.array(decisionInputShape),
});

type Trial = z.infer<typeof trialShape>;

const verdictsShape = z.array(
  z.object({ outcome: z.enum(['allow', 'deny']), policies: z.array(z.string()) }),
);

/** What a set says to one input. */
export type Verdict = z.infer<typeof verdictsShape>[number];

/**
 * Returns what a set from outside decides about each input, or undefined when its thread broke or was stopped. The set
 * is loaded in a thread with its own memory, which is stopped when the signal says so.
 */
export async function decideIsolated(
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
