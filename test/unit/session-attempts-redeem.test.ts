import { describe, expect, test } from 'vitest';
import type { Audit } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import type { DecisionInput, Policy } from '../../lib/decision.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { BrokerError } from '../../lib/failure.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  gateway,
  memoryAudit,
  testBroker,
  testClock,
  testPolicy,
} from '../support/test-broker.ts';

function start(changes: Partial<Broker> = {}) {
  const clock = testClock();
  const audit = memoryAudit();
  return { clock, audit, broker: testBroker({ now: clock.now, audit, ...changes }) };
}

describe('redeemTicket decides anew', () => {
  // Threat 11: the operator may have closed a network since the ticket was made.
  test('refuses an address that may no longer be dialled, and records it', async () => {
    const { broker, audit } = start();
    const { ticket } = await openSession(broker);

    const refusal = redeem({ ...broker, mayDial: () => false }, ticket.ticket);

    await expect(refusal).rejects.toMatchObject({ code: 'address-forbidden' });
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'ticket.refused',
      code: 'address-forbidden',
    });
  });

  test('asks policy about the time of the redemption and not of the request', async () => {
    const { broker, clock, audit } = start({ policy: timedPolicy(1_772_452_830) });
    const { ticket } = await openSession(broker);
    clock.pass(31);

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ code: 'access-denied' });
    expect(audit.entries.at(-2)).toMatchObject({
      type: 'session.denied',
      input: { context: { now: 1_772_452_831 } },
    });
  });

  test('lets in while the time that policy allows lasts', async () => {
    const { broker, clock } = start({ policy: timedPolicy(1_772_452_830) });
    const { ticket } = await openSession(broker);
    clock.pass(30);

    await expect(redeem(broker, ticket.ticket)).resolves.toMatchObject({ session: sessionId });
  });

  // Threat 26: a gateway may not name the process of another pool.
  test('refuses a process that another pool has', async () => {
    const { broker } = start();
    const first = await openSession(broker);
    await redeem(broker, first.ticket.ticket);
    const spoke = { ...broker, gateway: { ...broker.gateway, id: 'spoke' } };
    const second = await openSession(spoke, { id: broker.newId() });

    const refusal = redeem(spoke, second.ticket.ticket, { nonce: broker.newId() });

    await expect(refusal).rejects.toMatchObject({ code: 'gateway-unknown' });
  });

  test.each([
    ['without a term', {}],
    ['with a wider term', { maxConnections: 5 }],
  ])('holds the limit of the operator %s', async (_name, terms) => {
    const limits = { ...testBroker().limits, maxConnections: 1 };
    const { broker } = start({ limits, policy: testPolicy(terms) });
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    const { ticket: second } = await createTicket(broker, ada, sessionId, { form: 'jwt' });

    const refusal = redeem(broker, second, { nonce: broker.newId() });

    await expect(refusal).rejects.toMatchObject({ code: 'connection-limit' });
  });
});

describe('redeemTicket records what it refuses', () => {
  test('a ticket that is spent', async () => {
    const { broker, audit } = start();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);

    const again = redeem(broker, ticket.ticket, { nonce: instance, clientIp: '198.51.100.7' });

    await expect(again).rejects.toMatchObject({ code: 'ticket-spent' });
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'ticket.refused',
      code: 'ticket-spent',
      session: sessionId,
      clientIp: '198.51.100.7',
    });
  });

  test('a ticket that no key of ours has signed', async () => {
    const { broker, audit } = start();

    const refusal = redeem(broker, 'a.b.c', { clientIp: '198.51.100.7' });

    await expect(refusal).rejects.toMatchObject({ code: 'ticket-invalid' });
    expect(audit.entries).toEqual([
      { type: 'ticket.refused', gateway: 'hub', code: 'ticket-invalid', clientIp: '198.51.100.7' },
    ]);
  });

  test('a ticket of a session that has ended', async () => {
    const { broker, audit } = start();
    const { ticket } = await openSession(broker);
    await terminateSession(broker, ada, sessionId);

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ code: 'session-ended' });

    expect(audit.entries.at(-1)).toMatchObject({ type: 'ticket.refused', code: 'session-ended' });
  });

  test('a ticket for one connection too many, which leaves no trace of a connection', async () => {
    const { broker, audit, clock } = start({ policy: testPolicy({ maxConnections: 1 }) });
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    const { ticket: second } = await createTicket(broker, ada, sessionId, { form: 'jwt' });

    await redeem(broker, second, { nonce: instance }).catch(() => undefined);

    expect(audit.entries.at(-1)).toMatchObject({
      type: 'ticket.refused',
      code: 'connection-limit',
    });
    const opened = audit.entries.filter(({ type }) => type === 'connection.opened');
    expect(opened).toMatchObject([{ connection: nonce }]);
    const { connections } = await readSession(broker, ada, sessionId);
    expect(connections).toMatchObject([{ id: nonce, state: 'open' }]);
    const connection = { connection: nonce, session: sessionId, bytesUp: 0, bytesDown: 0 };
    clock.pass(61);
    await renewLeases(broker, gateway, { instance, connections: [connection] });
    expect(audit.entries.filter(({ type }) => type === 'connection.closed')).toEqual([]);
  });

  // The audit log may have stored what it did not confirm, and no gateway hears of that connection.
  test('the close, at once, of a connection whose record is in doubt', async () => {
    const { broker, audit } = start();
    const { ticket } = await openSession(broker);
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const append: Audit['append'] = async (events) => {
      const receipts = await audit.append(events);
      if (events.some(({ type }) => type === 'connection.opened')) throw down;
      return receipts;
    };

    await expect(redeem({ ...broker, audit: { append } }, ticket.ticket)).rejects.toBe(down);

    expect(audit.entries.slice(4)).toMatchObject([
      { type: 'connection.opened', connection: nonce },
      { type: 'connection.closed', connection: nonce, reason: 'gateway-failed' },
      { type: 'ticket.refused', code: 'audit-unavailable' },
    ]);
  });
});

function timedPolicy(last: number): Policy {
  const allowing = testPolicy();
  const decide = (input: DecisionInput) =>
    input.context.now <= last
      ? allowing.decide(input)
      : ({ outcome: 'deny', policies: ['late'], digest: 'test', advice: [] } as const);
  return { digest: 'test', decide };
}
