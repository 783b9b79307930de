import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as z from 'zod';
import { type Finding, type PolicyFile, scanPolicies } from './policy-scan.ts';

/** The files that a worker is given. */
export const policyFilesShape = z.array(z.strictObject({ name: z.string(), text: z.string() }));

const findingsShape = z.array(
  z.strictObject({ file: z.string(), line: z.int(), detail: z.string() }),
);

/** Where the check runs, and until when. */
export type Isolation = {
  /** The script of `policy-worker.ts`: its source, or its bundle. */
  readonly worker: URL;
  readonly signal: AbortSignal;
};

/**
 * Returns what is to be repaired in files from outside, nothing when they are sound. Cedar reads them in a thread with
 * its own memory, which is stopped when the signal says so; a thread that breaks or is stopped is a finding.
 */
export async function checkIsolated(
  files: readonly PolicyFile[],
  { worker: script, signal }: Isolation,
): Promise<readonly Finding[]> {
  const limits = scanPolicies(files);
  if (limits.length > 0) return limits;
  const worker = new Worker(script, {
    workerData: files,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  });
  try {
    return await readFindings(worker, signal);
  } catch {
    const detail = 'Cedar did not come to an end with this set: make its policies simpler.';
    return [{ file: files[0]?.name ?? '', line: 1, detail }];
  } finally {
    await worker.terminate();
  }
}

async function readFindings(worker: Worker, signal: AbortSignal): Promise<readonly Finding[]> {
  const done = new AbortController();
  const until = { signal: AbortSignal.any([signal, done.signal]) };
  try {
    // A thread that runs out of memory exits without a word.
    const exit = once(worker, 'exit', until).then(() => {
      throw new Error('the worker ended without an answer');
    });
    const message = once(worker, 'message', until);
    const answer: readonly unknown[] = await Promise.race([message, exit]);
    return findingsShape.parse(answer[0]);
  } finally {
    done.abort();
  }
}
