import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { explainRequest } from '../../lib/explain.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { requestSession } from '../../lib/request-session.ts';
import { simulatePolicies } from '../../lib/simulate.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { memoryTable } from '../support/memory-table.ts';
import { openSession, sessionId, ssh } from '../support/sessions.ts';
import {
  ada,
  eve,
  grace,
  memoryAudit,
  testBroker,
  testBudget,
  testPolicy,
  testTargets,
} from '../support/test-broker.ts';

collectLogLines();

/** A broker with these budgets that counts what a request costs. */
function countingBroker(limits: Partial<Broker['limits']>, changes: Partial<Broker> = {}) {
  const calls: string[] = [];
  const count = <T>(name: string, answer: T): T => {
    calls.push(name);
    return answer;
  };
  const state = memoryTable((operation) => count(`table.${operation}`, undefined));
  const audit = memoryAudit();
  const [targets, policy] = [testTargets(), testPolicy()];
  const plain = testBroker();
  const broker = testBroker({
    state,
    audit,
    budget: testBudget({ table: state, audit }),
    limits: { ...plain.limits, ...limits },
    targets: {
      ...targets,
      find: async (...of) => count('targets.find', targets.find(...of)),
      findHost: async (...of) => count('targets.findHost', targets.findHost(...of)),
    },
    policy: { ...policy, decide: (input) => count('policy.decide', policy.decide(input)) },
    ...changes,
  });
  return { broker, audit, calls };
}

describe('who is over the own budget', () => {
  // Threat 28: the refusal must be cheaper than what it refuses.
  test.each([
    [
      'a session',
      async (broker: Broker) => requestSession(broker, ada, ssh, { id: broker.newId() }),
    ],
    ['a ticket', async (broker: Broker) => createTicket(broker, ada, sessionId, { form: 'jwt' })],
    [
      'an extension',
      async (broker: Broker) => extendSession(broker, ada, sessionId, { durationSeconds: 60 }),
    ],
    ['an explanation', async (broker: Broker) => explainRequest(broker, ada, ssh)],
    [
      'a simulation',
      async (broker: Broker) =>
        simulatePolicies(
          broker,
          { ...ada, roles: ['Policy.Read'] },
          { policies: [], cases: [] },
          {
            check: async () => Promise.reject(new Error('a set was read')),
            decide: async () => undefined,
          },
        ),
    ],
  ])('gets 429 for %s, and no call to ARM or policy is made', async (_name, ask) => {
    const { broker, audit, calls } = countingBroker({ requestsPerCallerMinute: 1 });
    await openSession(broker);
    const entries = audit.entries.length;
    calls.length = 0;

    await expect(ask(broker)).rejects.toMatchObject({ code: 'rate-limited' });

    expect(calls.filter((name) => !name.startsWith('table.'))).toEqual([]);
    expect(audit.entries.slice(entries)).toMatchObject([{ type: 'budget.exceeded' }]);
  });

  test('costs nothing at all from the second refusal on', async () => {
    const { broker, audit, calls } = countingBroker({ requestsPerCallerMinute: 1 });
    await openSession(broker);
    await openSession(broker).catch(() => undefined);
    const entries = audit.entries.length;
    calls.length = 0;

    const answers = await Promise.all(
      Array.from({ length: 200 }, async () =>
        requestSession(broker, ada, ssh, { id: broker.newId() }).catch(() => 'refused'),
      ),
    );

    expect(new Set(answers)).toEqual(new Set(['refused']));
    expect(calls).toEqual([]);
    expect(audit.entries).toHaveLength(entries);
  });

  test('hears so, and not whether the session exists', async () => {
    const { broker } = countingBroker({ requestsPerCallerMinute: 1 });
    await openSession(broker);

    const absent = createTicket(broker, ada, broker.newId(), { form: 'jwt' });

    await expect(absent).rejects.toMatchObject({ code: 'rate-limited' });
  });

  test('gets 429 with the seconds to wait', async () => {
    const { broker } = countingBroker({ requestsPerCallerMinute: 1 });
    const request = { token: 'ada', body: ssh };
    await call(broker, 'POST', '/api/sessions', request);

    const { status, headers, body } = await call(broker, 'POST', '/api/sessions', request);

    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('60');
    expect(body).toMatchObject({ code: 'rate-limited' });
  });

  test('does not hold up others', async () => {
    const { broker } = countingBroker({ requestsPerCallerMinute: 1 });
    await openSession(broker);

    const other = await openSession(broker, { id: broker.newId(), caller: grace });

    expect(other.state).toBe('ready');
  });
});

describe('the budget of a target', () => {
  test('holds for all callers together, before its address is looked up', async () => {
    const { broker, audit, calls } = countingBroker({ requestsPerTargetMinute: 1 });
    await openSession(broker);
    calls.length = 0;

    const other = openSession(broker, { id: broker.newId(), caller: grace });

    await expect(other).rejects.toMatchObject({ code: 'rate-limited' });
    expect(calls).not.toContain('targets.findHost');
    expect(audit.entries.at(-1)).toMatchObject({ type: 'budget.exceeded', budget: 'target' });
  });

  test('holds for tickets, before ARM is asked', async () => {
    const { broker, calls } = countingBroker({ requestsPerTargetMinute: 1 });
    await openSession(broker);
    calls.length = 0;

    const ticket = createTicket(broker, ada, sessionId, { form: 'jwt' });

    await expect(ticket).rejects.toMatchObject({ code: 'rate-limited' });
    expect(calls).not.toContain('targets.find');
  });

  // Threat 13 and availability: who may not use a target neither sees its budget nor uses it up.
  test('is out of reach of those whom policy denies', async () => {
    const { broker } = countingBroker({ requestsPerTargetMinute: 1 });

    for (let i = 0; i < 5; i += 1)
      await expect(requestSession(broker, eve, ssh, { id: broker.newId() })).rejects.toMatchObject({
        code: 'access-denied',
      });

    await openSession(broker);
    await expect(requestSession(broker, eve, ssh, { id: broker.newId() })).rejects.toMatchObject({
      code: 'access-denied',
    });
  });
});
