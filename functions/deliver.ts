import { app } from '@azure/functions';
import type { Broker } from '../lib/broker.ts';
import { deliverNotices } from '../lib/deliver-notices.ts';
import { findBroker } from './compose.ts';

/** Tells the webhooks what has happened. */
export async function handler(_timer: unknown, _context: unknown, given?: Broker): Promise<void> {
  const broker = given ?? (await findBroker());
  const done = await deliverNotices(broker);
  if (Object.values(done).some((count) => 0 < count)) broker.log('notices.delivered', done);
}

// Not at the end of the request that causes a notice: a host may stop a process once it has answered. Four times a
// minute, because people wait for approvers.
app.timer('deliver', { schedule: '*/15 * * * * *', handler });
