import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';

// Each holds a core for seconds, two threads one after the other, and up to 256 MiB: more would starve the sessions.
const maxAtOnce = 2;

const retryAfterSeconds = 5;

/** Returns the gate of one process: it runs two simulations at a time and fails the next with `rate-limited`. */
export function createSimulationGate(): Broker['admitSimulation'] {
  let running = 0;
  return async (simulate) => {
    if (running === maxAtOnce) {
      const sentence = 'Other policies are being tried here. Ask again.';
      throw new BrokerError('rate-limited', sentence, { retryAfterSeconds });
    }
    running += 1;
    try {
      return await simulate();
    } finally {
      running -= 1;
    }
  };
}
