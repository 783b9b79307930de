import type { Log } from '../lib/broker.ts';

/** Writes one JSON line to the standard output, which the host passes on. */
export const log: Log = (event, facts) => {
  // oxlint-disable-next-line no-console -- the worker forwards console lines, and nothing else, to the host's log
  console.log(JSON.stringify({ time: new Date().toISOString(), event, ...facts }));
};
