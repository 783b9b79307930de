import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { BrokerError } from '../../lib/failure.ts';
import { redeemTicket } from '../../lib/redeem-ticket.ts';
import { findSession } from '../../lib/session.ts';
import { memoryTable } from '../support/memory-table.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  eve,
  gateway,
  memoryAudit,
  testBroker,
  testClock,
  testKeys,
  testPolicy,
  testTargets,
  vm,
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
    expect(rows).not.toContain('eyJ');
  });

  test('refuses a handle that is not known, and records it', async () => {
    const audit = memoryAudit();

    const refusal = redeem(testBroker({ audit }), 'x'.repeat(43));

    await expect(refusal).rejects.toMatchObject({ code: 'ticket-invalid' });
    expect(audit.entries).toMatchObject([{ type: 'ticket.refused', code: 'ticket-invalid' }]);
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

  // Fail closed: a connection that is not recorded must not be opened.
  test('opens nothing when the audit log is down', async () => {
    const state = memoryTable();
    const broker = testBroker({ state });
    const { ticket } = await openSession(broker);
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const audit = { append: async () => Promise.reject(down) };

    await expect(redeem({ ...broker, audit }, ticket.ticket)).rejects.toBe(down);

    const rows = state.rows().map(({ row }) => row);
    expect(rows.filter((row) => row.startsWith('connection|'))).toEqual([]);
    expect(state.rows().filter(({ partition }) => partition.startsWith('live|'))).toEqual([]);
  });
});

describe('createTicket', () => {
  test('decides again and records the decision with the ticket', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ audit });
    await openSession(broker);

    await createTicket(broker, ada, sessionId, { form: 'jwt' });

    expect(audit.entries.slice(3)).toMatchObject([
      { type: 'session.allowed', session: sessionId },
      { type: 'ticket.issued', form: 'jwt' },
    ]);
  });

  test('refuses the session of somebody else as if it were absent', async () => {
    const broker = testBroker();
    await openSession(broker);

    const other = createTicket(broker, eve, sessionId, { form: 'jwt' });
    const absent = createTicket(broker, eve, broker.newId(), { form: 'jwt' });

    const [first, second] = await Promise.allSettled([other, absent]);
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'not-found' } });
    expect(second).toEqual(first);
  });

  // Threat 11: the address may belong to another machine by now.
  test('refuses when the target has another address than the session was granted for', async () => {
    const broker = testBroker();
    await openSession(broker);
    const targets = { ...broker.targets, findHost: async () => '10.0.0.99' };

    const refusal = createTicket({ ...broker, targets }, ada, sessionId, { form: 'jwt' });

    await expect(refusal).rejects.toMatchObject({ code: 'target-changed' });
  });

  test('refuses when another VM has taken the name of the target', async () => {
    const armId = '/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachines/v';
    const broker = testBroker({ targets: testTargets([{ ...vm, armId }]) });
    await openSession(broker);
    const targets = testTargets([{ ...vm, armId, id: '22222222-2222-4222-8222-222222222222' }]);

    const refusal = createTicket({ ...broker, targets }, ada, sessionId, { form: 'jwt' });

    await expect(refusal).rejects.toMatchObject({ code: 'target-changed' });
  });

  test('refuses when the target is gone', async () => {
    const broker = testBroker();
    await openSession(broker);
    const targets = { ...broker.targets, find: async () => undefined };

    const refusal = createTicket({ ...broker, targets }, ada, sessionId, { form: 'jwt' });

    await expect(refusal).rejects.toMatchObject({ code: 'target-changed' });
  });

  test('refuses once the session has reached its deadline', async () => {
    const clock = testClock();
    const broker = testBroker({ now: clock.now });
    await openSession(broker);
    clock.pass(3600);

    const refusal = createTicket(broker, ada, sessionId, { form: 'jwt' });

    await expect(refusal).rejects.toMatchObject({ code: 'session-ended' });
  });
});
