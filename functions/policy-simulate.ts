import { app } from '@azure/functions';
import { refuseKnownExcess } from '../lib/budget-check.ts';
import { requireRole } from '../lib/role.ts';
import { isolateTrials } from '../lib/simulate-isolation.ts';
import { simulatePolicies } from '../lib/simulate.ts';
import { simulateRequestBytes, simulateRequestShape } from '../lib/simulate-view.ts';
import { answer, http } from './answer.ts';

// Built, each worker is a program of its own in a folder beside this script.
const scripts = import.meta.url.endsWith('.js')
  ? {
      check: new URL('./policy-worker/main.js', import.meta.url),
      decide: new URL('./simulate-worker/main.js', import.meta.url),
    }
  : {
      check: new URL('../lib/policy-worker.ts', import.meta.url),
      decide: new URL('../lib/simulate-worker.ts', import.meta.url),
    };

const trials = isolateTrials(scripts);

/** Tells what a proposed policy set would decide otherwise. */
export const handler = answer({
  POST: async ({ identify, read }, broker) => {
    const caller = await identify();
    // Before the body, which may be a large one.
    requireRole(caller, 'Policy.Read');
    refuseKnownExcess(broker, caller);
    const wanted = await read(simulateRequestShape, simulateRequestBytes);
    return { status: 200, body: await simulatePolicies(broker, caller, wanted, trials) };
  },
});

app.http('policy-simulate', { ...http, route: 'api/policy/simulate', handler });
