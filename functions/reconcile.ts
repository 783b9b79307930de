import { app } from '@azure/functions';
import type { Broker } from '../lib/broker.ts';
import { reconcile } from '../lib/reconcile.ts';
import { findBroker } from './compose.ts';

/** Makes the record true: ends overdue sessions and closes the connections of lost gateways. */
export async function handler(_timer: unknown, _context: unknown, given?: Broker): Promise<void> {
  const broker = given ?? (await findBroker());
  const { sessions, gateways } = await reconcile(broker);
  if (0 < sessions + gateways) broker.log('reconciled', { sessions, gateways });
}

// Every half minute: a lost gateway is recorded that much after its grace, and an idle broker costs next to nothing.
app.timer('reconcile', { schedule: '*/30 * * * * *', handler });
