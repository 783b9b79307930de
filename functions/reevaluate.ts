import { app } from '@azure/functions';
import type { Broker } from '../lib/broker.ts';
import { reevaluate } from '../lib/reevaluate.ts';
import { findBroker } from './compose.ts';

/** Ends open sessions that policy no longer permits. */
export async function handler(_timer: unknown, _context: unknown, given?: Broker): Promise<void> {
  const broker = given ?? (await findBroker());
  // The process that the timer runs in may have had nothing to do for a while.
  await broker.refreshPolicy();
  const ended = await reevaluate(broker);
  if (0 < ended) broker.log('reevaluated', { ended });
}

// Looks every half minute whether the policy set is another one; decides anew at least every five minutes.
app.timer('reevaluate', { schedule: '15,45 * * * * *', handler });
