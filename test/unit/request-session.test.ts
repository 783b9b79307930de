import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { requestSession } from '../../lib/request-session.ts';
import { memoryTable } from '../support/memory-table.ts';
import { openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import {
  ada,
  eve,
  memoryAudit,
  testBroker,
  testPolicy,
  testTargets,
  vm,
  vmHost,
} from '../support/test-broker.ts';

const id = sessionId;

describe('requestSession', () => {
  test('records the request, the decision and the ticket before it hands the ticket out', async () => {
    const audit = memoryAudit();

    const session = await openSession(testBroker({ audit }));

    expect(audit.entries.map(({ type }) => type)).toEqual([
      'session.requested',
      'session.allowed',
      'ticket.issued',
    ]);
    expect(session).toMatchObject({ id, state: 'ready', endpoint: 'wss://gateway.test/connect' });
    expect(session.ticket).toMatchObject({ form: 'jwt', expiresAt: '2026-03-02T12:01:00.000Z' });
  });

  test('never tells the caller the address of the target', async () => {
    const session = await openSession(testBroker());

    const { ticket, ...rest } = session;
    expect(ticket.ticket).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(JSON.stringify(rest)).not.toContain(vmHost);
  });

  test('keeps the ticket out of the audit entries', async () => {
    const audit = memoryAudit();

    const { ticket } = await openSession(testBroker({ audit }));

    const text = JSON.stringify(audit.entries);
    for (const part of ticket.ticket.split('.')) expect(text).not.toContain(part);
  });

  test('records a denial before it refuses', async () => {
    const audit = memoryAudit();
    const policy = testPolicy({}, ['Ask the owner.']);

    const refusal = requestSession(testBroker({ audit, policy }), eve, ssh, { id });

    await expect(refusal).rejects.toMatchObject({
      code: 'access-denied',
      details: { advice: ['Ask the owner.'] },
    });
    expect(audit.entries).toMatchObject([
      { type: 'session.requested', caller: { id: eve.id } },
      { type: 'session.denied', session: id, input: { target: { id: vm.id } } },
    ]);
  });

  // Threat 13: who may not reach a target must not learn that it exists.
  test('refuses an absent target in the words with which policy hides one', async () => {
    const broker = testBroker();

    const hidden = await requestSession(broker, eve, ssh, { id }).catch(toFacts);
    const absent = await requestSession(
      testBroker({ targets: testTargets([]) }),
      ada,
      { ...ssh, target: '22222222-2222-4222-8222-222222222222' },
      { id },
    ).catch(toFacts);

    expect(absent).toEqual(hidden);
  });

  // Fail closed: a session that nobody can account for later must not exist.
  test('gives no ticket when the audit log is down, and takes the session back', async () => {
    const state = memoryTable();
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const audit = { append: async () => Promise.reject(down) };

    await expect(openSession(testBroker({ audit, state }))).rejects.toBe(down);

    expect(state.rows()).toEqual([]);
  });

  test.each(['insert', 'find'] as const)(
    'gives no ticket when the table fails at %s',
    async (broken) => {
      const state = memoryTable((operation) => (operation === broken ? 'before' : undefined));

      await expect(openSession(testBroker({ state }))).rejects.toMatchObject({
        code: 'state-unavailable',
      });
    },
  );

  test('ends at the shortest of the wish, the term and the cap', async () => {
    const policy = testPolicy({ maxDurationSeconds: 600 });

    const wished = await openSession(testBroker(), { durationSeconds: 120 });
    const termed = await openSession(testBroker({ policy }));
    const capped = await openSession(testBroker(), { durationSeconds: 86_400 });

    expect(wished.deadline).toBe('2026-03-02T12:02:00.000Z');
    expect(termed.deadline).toBe('2026-03-02T12:10:00.000Z');
    expect(capped.deadline).toBe('2026-03-02T20:00:00.000Z');
  });

  test('lets no ticket outlive the session', async () => {
    const policy = testPolicy({ maxDurationSeconds: 30 });

    const { ticket, deadline } = await openSession(testBroker({ policy }));

    expect(ticket.expiresAt).toBe(deadline);
  });

  test('answers an identical repetition with the same session and without a ticket', async () => {
    const broker = testBroker();
    await openSession(broker);

    const again = await requestSession(broker, ada, ssh, { id });

    expect(again).toMatchObject({ isNew: false, view: { id } });
    expect(again.view.ticket).toBeUndefined();
  });

  test('refuses another request under the same id', async () => {
    const broker = testBroker();
    await openSession(broker);

    const other = requestSession(broker, ada, { ...ssh, durationSeconds: 60 }, { id });

    await expect(other).rejects.toMatchObject({ code: 'session-conflict' });
  });

  test('lets one of two identical requests at once make the session', async () => {
    const broker = testBroker();

    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => requestSession(broker, ada, ssh, { id })),
    );

    expect(answers.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(answers.filter(({ view }) => view.ticket !== undefined)).toHaveLength(1);
  });

  test('counts only open sessions against the limit of a caller', async () => {
    const limits = { ...testBroker().limits, sessionsPerCaller: 2 };
    const broker = testBroker({ limits });
    await openSession(broker, { id: broker.newId() });
    await openSession(broker, { id: broker.newId() });

    const third = openSession(broker, { id: broker.newId() });

    await expect(third).rejects.toMatchObject({ code: 'session-limit' });
  });

  test.each([
    ['a stopped VM', { targets: testTargets([{ ...vm, power: 'deallocated' }]) }, 'target-stopped'],
    ['a forbidden address', { mayDial: () => false }, 'address-forbidden'],
    [
      'a target without an address',
      { targets: { ...testTargets(), findHost: async () => undefined } },
      'target-without-address',
    ],
  ] as const)('refuses %s, and records why', async (_name, changes, code) => {
    const audit = memoryAudit();

    const refusal = openSession(testBroker({ audit, ...changes }));

    await expect(refusal).rejects.toMatchObject({ code });
    expect(audit.entries).toMatchObject([
      { type: 'session.requested' },
      { type: 'session.refused', code },
    ]);
  });

  test('asks for the address of a target only after policy has allowed', async () => {
    let asked = 0;
    const targets = {
      ...testTargets(),
      findHost: async () => {
        asked += 1;
        return vmHost;
      },
    };

    await requestSession(testBroker({ targets }), eve, ssh, { id }).catch(toFacts);

    expect(asked).toBe(0);
  });

  test('refuses a caller whose token does not list all groups', async () => {
    const many = { ...ada, groups: 'unknown' as const };

    const refusal = requestSession(testBroker(), many, ssh, { id });

    await expect(refusal).rejects.toMatchObject({ code: 'groups-unknown' });
  });

  test('refuses a caller without the role', async () => {
    const refusal = requestSession(testBroker(), { ...ada, roles: [] }, ssh, { id });

    await expect(refusal).rejects.toMatchObject({ code: 'role-missing' });
  });

  test('signs tickets that its own gateway can redeem', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);

    const answer = await redeem(broker, ticket.ticket);

    expect(answer).toMatchObject({ session: id, host: vmHost, port: 22 });
  });
});

function toFacts(failure: unknown): unknown {
  return failure instanceof BrokerError
    ? { code: failure.code, message: failure.message, details: failure.details }
    : failure;
}
