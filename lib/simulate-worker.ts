import { parentPort, workerData } from 'node:worker_threads';
import * as z from 'zod';
import { createPolicyEngine } from './policy-engine.ts';
import { loadPolicy } from './policy.ts';
import { trialShape } from './simulate-isolation.ts';

// A program of its own, run as a worker thread: it decides the inputs that it was given by the files that it was given,
// answers with the decisions and ends. Elsewhere it does nothing.
if (parentPort !== null) {
  const { files, inputs } = z.parse(trialShape, workerData);
  const policy = loadPolicy(files, createPolicyEngine(), () => undefined);
  parentPort.postMessage(inputs.map(policy.decide), []);
}
