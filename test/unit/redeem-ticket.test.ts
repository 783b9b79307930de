import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { BrokerError } from '../../lib/failure.ts';
import { closeConnection } from '../../lib/close-connection.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { redeemTicket } from '../../lib/redeem-ticket.ts';
import { findSession } from '../../lib/session.ts';
import { memoryTable } from '../support/memory-table.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  gateway,
  memoryAudit,
  testBroker,
  testClock,
  testKeys,
  testPolicy,
} from '../support/test-broker.ts';

describe('redeemTicket', () => {
  test('records the redemption and the connection before it answers', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ audit });
    const { ticket } = await openSession(broker);

    const answer = await redeem(broker, ticket.ticket, { clientIp: '198.51.100.7' });

    expect(audit.entries.slice(3)).toMatchObject([
      { type: 'ticket.redeemed', connection: answer.connection, instance },
      { type: 'connection.opened', host: answer.host, port: 22, clientIp: '198.51.100.7' },
    ]);
    expect((await findSession(broker, sessionId))?.session.state).toBe('active');
  });

  // Threat 2: one winner, whoever is first.
  test('lets one of twenty uses of a ticket in', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);

    const uses = await Promise.allSettled(
      Array.from({ length: 20 }, async () =>
        redeem(broker, ticket.ticket, { nonce: broker.newId() }),
      ),
    );

    expect(uses.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refusals = uses.filter((use) => use.status === 'rejected');
    for (const { reason } of refusals) expect(reason).toMatchObject({ code: 'ticket-spent' });
  });

  test('gives the same answer again when the gateway repeats itself', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);

    const first = await redeem(broker, ticket.ticket);
    const again = await redeem(broker, ticket.ticket);

    expect(again).toEqual(first);
  });

  test('redeems a handle for the connection of its ticket', async () => {
    const broker = testBroker();
    await openSession(broker);
    const { ticket } = await createTicket(broker, ada, sessionId, { form: 'handle' });

    const answer = await redeem(broker, ticket);

    expect(ticket).toMatch(/^[\w-]{43}$/);
    expect(answer.session).toBe(sessionId);
  });

  // Storage access alone can neither use a ticket nor make one.
  test('stores the ticket of a handle so that the table does not reveal it', async () => {
    const state = memoryTable();
    const broker = testBroker({ state });
    const { ticket: jwt } = await openSession(broker);
    const { ticket: handle } = await createTicket(broker, ada, sessionId, { form: 'handle' });

    const rows = JSON.stringify(state.rows());

    expect(rows).not.toContain(handle);
    expect(rows).not.toContain(jwt.ticket.split('.')[2]);
    expect(rows).not.toContain('eyJhbGci');
  });

  // Anyone can make handles up, and must not be able to fill the audit log.
  test('refuses a handle that is not known, and logs it without recording it', async () => {
    const audit = memoryAudit();
    const events: string[] = [];
    const log = (event: string): void => void events.push(event);

    const refusal = redeem(testBroker({ audit, log }), 'x'.repeat(43));

    await expect(refusal).rejects.toMatchObject({ code: 'ticket-invalid' });
    expect(audit.entries).toEqual([]);
    expect(events).toEqual(['handle-unknown']);
  });

  test('refuses a ticket of a session that was terminated', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    await terminateSession(broker, ada, sessionId);

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ code: 'session-ended' });
  });

  // Threat 19: policy may have changed since the ticket was made.
  test('asks policy again', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    const deny = () => ({ outcome: 'deny', policies: ['no'], digest: 'n', advice: [] }) as const;

    const refusal = redeem({ ...broker, policy: { digest: 'n', decide: deny } }, ticket.ticket);

    await expect(refusal).rejects.toMatchObject({ code: 'access-denied' });
  });

  test('refuses a ticket whose key has been withdrawn', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    const keys = { ...broker.keys, isListed: async () => false };

    await expect(redeem({ ...broker, keys }, ticket.ticket)).rejects.toMatchObject({
      code: 'ticket-invalid',
    });
  });

  test('refuses a ticket of another root', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    const keys = testKeys(broker.now, broker.url.origin);

    await expect(redeem({ ...broker, keys }, ticket.ticket)).rejects.toMatchObject({
      code: 'ticket-invalid',
    });
  });

  test('refuses an expired ticket', async () => {
    const clock = testClock();
    const broker = testBroker({ now: clock.now });
    const { ticket } = await openSession(broker);
    clock.pass(66);

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ code: 'ticket-invalid' });
  });

  // Threat 26: only the workload that the operator named may redeem, whatever roles others hold.
  test.each([
    ['a person', ada, 'role-missing'],
    ['a workload that is not listed', { ...gateway, id: 'tenant.other' }, 'gateway-unknown'],
    ['a person with the role', { ...ada, roles: ['Gateway'] as const }, 'gateway-unknown'],
  ])('refuses %s', async (_name, caller, code) => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);

    const refusal = redeemTicket(broker, caller, { ticket: ticket.ticket, instance, nonce });

    await expect(refusal).rejects.toMatchObject({ code });
  });

  test('allows as many connections at once as the term says', async () => {
    const broker = testBroker({ policy: testPolicy({ maxConnections: 2 }) });
    const { ticket } = await openSession(broker);
    const tickets = [
      ticket,
      await createTicket(broker, ada, sessionId, { form: 'jwt' }),
      await createTicket(broker, ada, sessionId, { form: 'jwt' }),
    ];

    const uses = await Promise.allSettled(
      tickets.map(async ({ ticket: secret }) => redeem(broker, secret, { nonce: broker.newId() })),
    );

    const refused = uses.filter(({ status }) => status === 'rejected');
    expect(refused).toMatchObject([{ reason: { code: 'connection-limit' } }]);
  });

  // Fail closed: a connection that is not recorded must not be opened, and one that may be must be closed.
  test('grants nothing when the audit log is down, and records the close once it is back', async () => {
    const clock = testClock();
    const audit = memoryAudit();
    const broker = testBroker({ now: clock.now, audit });
    const { ticket } = await openSession(broker);
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const failing = { ...broker, audit: { append: async () => Promise.reject(down) } };

    await expect(redeem(failing, ticket.ticket)).rejects.toBe(down);
    clock.pass(61);
    await renewLeases(broker, gateway, { instance, connections: [] });

    expect(audit.entries.at(-1)).toMatchObject({
      type: 'connection.closed',
      connection: nonce,
      reason: 'gateway-failed',
    });
  });

  test('closes what was recorded as opened when the state fails after it', async () => {
    const audit = memoryAudit();
    let isDown = false;
    const state = memoryTable((operation, partition) =>
      isDown && operation === 'put' && partition.startsWith('live|') ? 'after' : undefined,
    );
    const broker = testBroker({ audit, state });
    const { ticket } = await openSession(broker);
    isDown = true;

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({
      code: 'state-unavailable',
    });

    const types = audit.entries.map(({ type }) => type);
    const opened = types.filter((type) => type === 'connection.opened').length;
    expect(types.filter((type) => type === 'connection.closed').length).toBeGreaterThanOrEqual(
      opened,
    );
  });

  // A gateway that repeats itself late must not falsify how the connection ended.
  test('refuses a repetition once the connection has closed', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    const ending = {
      reason: 'client-closed',
      bytesUp: 1,
      bytesDown: 2,
      durationMilliseconds: 3,
    } as const;
    await closeConnection(broker, gateway, nonce, { instance, session: sessionId, ...ending });

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ code: 'ticket-spent' });

    const { connections } = await readSession(broker, ada, sessionId);
    expect(connections).toMatchObject([{ state: 'closed', reason: 'client-closed', bytesUp: 1 }]);
  });
});
