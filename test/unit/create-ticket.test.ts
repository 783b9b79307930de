import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { BrokerError } from '../../lib/failure.ts';
import { openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  eve,
  memoryAudit,
  testBroker,
  testClock,
  testPolicy,
  testTargets,
  vm,
} from '../support/test-broker.ts';

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

  // Threat 19: a right that was taken away makes no more tickets.
  test('refuses what policy no longer permits, and records the denial', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ audit });
    await openSession(broker);
    const deny = { outcome: 'deny', policies: ['no'], digest: 'n', advice: ['Ask.'] } as const;
    const denying = { ...broker, policy: { digest: 'n', decide: () => deny } };

    const refusal = createTicket(denying, ada, sessionId, { form: 'jwt' });

    await expect(refusal).rejects.toMatchObject({
      code: 'access-denied',
      details: { advice: ['Ask.'] },
    });
    expect(audit.entries.slice(3)).toMatchObject([
      { type: 'session.denied', session: sessionId, policies: ['no'], digest: 'n' },
    ]);
  });

  test('asks policy about the target as it is now, and about the address of the caller', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ audit });
    await openSession(broker);
    const targets = testTargets([{ ...vm, tags: { env: 'prod' } }]);
    const request = { form: 'jwt', clientIp: '198.51.100.7' } as const;

    await createTicket({ ...broker, targets }, ada, sessionId, request);

    expect(audit.entries[3]).toMatchObject({
      input: { target: { tags: { env: 'prod' } }, context: { sourceIp: '198.51.100.7' } },
    });
  });

  test.each([
    ['a shorter term', { maxDurationSeconds: 600 }, '2026-03-02T12:10:00Z'],
    ['a longer term', { maxDurationSeconds: 7200 }, '2026-03-02T13:00:00Z'],
    ['no term', {}, '2026-03-02T13:00:00Z'],
  ])('puts the deadline of %s into the ticket', async (_name, terms, deadline) => {
    const broker = testBroker();
    await openSession(broker);

    const { ticket } = await createTicket(
      { ...broker, policy: testPolicy(terms) },
      ada,
      sessionId,
      { form: 'jwt' },
    );

    expect(await redeem(broker, ticket)).toMatchObject({
      deadline: new Date(deadline).toISOString(),
      terms,
    });
  });

  test('refuses when a new term has shortened the session to nothing', async () => {
    const clock = testClock();
    const broker = testBroker({ now: clock.now });
    await openSession(broker);
    clock.pass(601);
    const policy = testPolicy({ maxDurationSeconds: 600 });

    const refusal = createTicket({ ...broker, policy }, ada, sessionId, { form: 'jwt' });

    await expect(refusal).rejects.toMatchObject({ code: 'session-ended' });
  });

  test('gives no ticket when its record or its handle is not stored', async () => {
    const broker = testBroker();
    await openSession(broker);
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const fail = async () => Promise.reject(down);
    const state = { ...broker.state, insert: fail };

    for (const changes of [{ audit: { append: fail } }, { state }])
      await expect(
        createTicket({ ...broker, ...changes }, ada, sessionId, { form: 'handle' }),
      ).rejects.toBe(down);
  });
});
