import type { FindWireFault, WireFault } from './fault-proxy.ts';

/** Draws faults at a rate, the same ones each time. A call that hangs costs two seconds, so those are few. */
export function drawFaults(percent: number): FindWireFault {
  const faults: readonly WireFault[] = ['request-lost', 'answer-lost', 'answer-halved', 500, 503];
  let state = percent;
  let calls = 0;
  return () => {
    calls += 1;
    // A linear congruential generator: chance that can be repeated.
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const draw = Math.floor(state / 65_536);
    if (draw % 100 >= percent) return undefined;
    return calls % 50 === 0 ? 'answer-hangs' : faults[draw % faults.length];
  };
}
