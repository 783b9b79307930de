import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { closeConnection } from '../../lib/close-connection.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import type { RedeemAnswer } from '../../lib/gateway-call.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import type { Table } from '../../lib/table.ts';
import type { Terms } from '../../lib/terms.ts';
import { memoryTable } from '../support/memory-table.ts';
import { instance, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  gateway,
  memoryAudit,
  testBroker,
  testClock,
  testPolicy,
} from '../support/test-broker.ts';

const other = '9a7e0000-0000-4000-8000-000000000002';

function start(terms: Terms = { maxBytes: 1000 }) {
  const calls: string[] = [];
  const state = memoryTable((operation: keyof Table, partition) => {
    calls.push(`${operation} ${partition}`);
    return undefined;
  });
  const clock = testClock();
  const audit = memoryAudit();
  const broker = testBroker({ now: clock.now, audit, state, policy: testPolicy(terms) });
  return { broker, audit, clock, calls };
}

/** Opens one more connection of the session, at a gateway process. */
async function connect(broker: Broker, at = instance): Promise<RedeemAnswer> {
  const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
  return redeem(broker, ticket, { nonce: broker.newId(), instance: at });
}

async function lease(broker: Broker, at: string, carried: Readonly<Record<string, number>>) {
  const connections = Object.entries(carried).map(([connection, bytesUp]) => ({
    connection,
    session: sessionId,
    bytesUp,
    bytesDown: 1,
  }));
  return renewLeases(broker, gateway, { instance: at, connections });
}

async function close(broker: Broker, at: string, connection: string, bytesUp: number) {
  const ending = { reason: 'client-closed', bytesUp, bytesDown: 1 } as const;
  const report = { instance: at, session: sessionId, ...ending, durationMilliseconds: 1 };
  await closeConnection(broker, gateway, connection, report);
}

describe('the redemption of a session whose bytes are limited', () => {
  test('tells what other connections have carried here and elsewhere, closed and open', async () => {
    const { broker } = start();
    await openSession(broker);
    const open = await connect(broker);
    const closed = await connect(broker);
    const away = await connect(broker, other);
    const awayClosed = await connect(broker, other);
    await lease(broker, instance, { [open.connection]: 9, [closed.connection]: 5 });
    await lease(broker, other, { [away.connection]: 99, [awayClosed.connection]: 5 });
    await close(broker, instance, closed.connection, 19);
    await close(broker, other, awayClosed.connection, 199);

    const { bytesBefore } = await connect(broker);

    expect(bytesBefore).toEqual({ here: 10 + 20, elsewhere: 100 + 200 });
  });

  test('counts what a gateway had reported before it was lost', async () => {
    const { broker, clock } = start();
    await openSession(broker);
    const lost = await connect(broker, other);
    await lease(broker, other, { [lost.connection]: 99 });
    clock.pass(600);
    await reconcile(broker);

    const { bytesBefore } = await connect(broker);

    expect(bytesBefore).toEqual({ here: 0, elsewhere: 100 });
  });

  test('lets a connection in for the last byte, and refuses when there is none, with a record', async () => {
    const { broker, audit } = start();
    await openSession(broker);
    const first = await connect(broker);
    await close(broker, instance, first.connection, 998);
    const last = await connect(broker, other);
    await close(broker, other, last.connection, 0);

    await expect(connect(broker)).rejects.toMatchObject({ code: 'byte-limit' });

    expect(audit.entries.at(-1)).toMatchObject({ type: 'ticket.refused', code: 'byte-limit' });
  });

  test('takes the lower of the limit that was granted and that of now', async () => {
    const { broker } = start();
    await openSession(broker);
    const first = await connect(broker);
    await close(broker, instance, first.connection, 499);
    const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });

    const refusal = redeem({ ...broker, policy: testPolicy({ maxBytes: 500 }) }, ticket);

    await expect(refusal).rejects.toMatchObject({ code: 'byte-limit' });
  });
});

describe('the lease of a gateway', () => {
  test('tells for each session whose bytes are limited what others have carried', async () => {
    const { broker } = start();
    await openSession(broker);
    const here = await connect(broker);
    const away = await connect(broker, other);
    await lease(broker, other, { [away.connection]: 99 });

    const { bytesElsewhere } = await lease(broker, instance, { [here.connection]: 9 });

    expect(bytesElsewhere).toEqual([{ session: sessionId, bytes: 100 }]);
  });

  // The price of a byte limit is paid by those who have one.
  test('costs the same calls for one session as for five when none of them is limited', async () => {
    const { broker, calls } = start({});
    const counts: number[] = [];
    for (const sessions of [1, 2, 3, 4, 5]) {
      const { ticket } = await openSession(broker, { id: broker.newId() });
      const answer = await redeem(broker, ticket.ticket, { nonce: broker.newId() });
      expect(answer).not.toHaveProperty('bytesBefore');
      calls.length = 0;
      const { bytesElsewhere } = await lease(broker, instance, {});
      expect(bytesElsewhere).toEqual([]);
      counts[sessions] = calls.length;
    }

    expect(new Set(counts.slice(1)).size).toBe(1);
  });
});
