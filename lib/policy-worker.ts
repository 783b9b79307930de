import { parentPort, workerData } from 'node:worker_threads';
import * as z from 'zod';
import { checkPolicies } from './policy-check.ts';
import { createPolicyEngine } from './policy-engine.ts';
import { policyFilesShape } from './policy-isolation.ts';

// A program of its own, run as a worker thread: it checks the files that it was given, answers with the findings and
// ends. Elsewhere it does nothing.
if (parentPort !== null) {
  const check = checkPolicies(z.parse(policyFilesShape, workerData), createPolicyEngine());
  parentPort.postMessage(check.outcome === 'faulty' ? check.findings : [], []);
}
