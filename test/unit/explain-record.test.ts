import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { explainAnswerShape } from '../../lib/explain.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { decisionInput, loadPolicyText } from '../support/policies.ts';
import { ada, memoryAudit, testBroker, vm } from '../support/test-broker.ts';

collectLogLines();

const path = '/api/policy/explain';
const ssh = { target: vm.id, protocol: 'ssh' };
const { caller: somebody } = decisionInput();

function brokerOf(changes: Partial<Broker> = {}): Broker {
  return testBroker({
    identify: async () => ({ ...ada, roles: ['Session.Request', 'Policy.Read'] }),
    ...changes,
  });
}

async function explain(broker: Broker, body: object = {}) {
  return call(broker, 'POST', path, { token: 'ada', body: { ...ssh, ...body } });
}

describe('the record of an explanation', () => {
  // Whoever looks up what others may do prepares something, for good or ill.
  test('says who asked about whom, about what, and what the answer was', async () => {
    const audit = memoryAudit();

    await explain(brokerOf({ audit }), { caller: somebody });

    expect(audit.entries).toEqual([
      {
        type: 'policy.explained',
        caller: { id: ada.id, name: 'ada' },
        subject: somebody.id,
        target: vm.id,
        action: 'connect.ssh',
        port: 22,
        outcome: 'allow',
        digest: 'test',
      },
    ]);
  });

  test('names the person for whom somebody is said to act', async () => {
    const audit = memoryAudit();
    const onBehalfOf = { ...somebody, id: 'tenant.person' };
    const workload = { ...somebody, kind: 'workload' };

    await explain(brokerOf({ audit }), { caller: workload, onBehalfOf });

    expect(audit.entries).toMatchObject([{ subject: somebody.id, onBehalfOf: 'tenant.person' }]);
  });

  test('names the target as asked for, where there is none', async () => {
    const audit = memoryAudit();
    const target = '99999999-9999-4999-8999-999999999999';

    await explain(brokerOf({ audit }), { caller: somebody, target });

    expect(audit.entries).toMatchObject([{ target, outcome: 'deny' }]);
  });

  test('is not made of questions about oneself, which a request would answer as well', async () => {
    const audit = memoryAudit();

    expect(await explain(brokerOf({ audit }))).toMatchObject({ status: 200 });

    expect(audit.entries).toEqual([]);
  });

  test('comes before the answer: without it there is none', async () => {
    const audit = { append: async () => Promise.reject(new Error('the table is down')) };

    const answer = await explain(brokerOf({ audit }), { caller: somebody });

    expect(answer).toMatchObject({ status: 500, body: undefined });
  });
});

describe('an explanation of what needs something', () => {
  const policy = loadPolicyText(`
    @id("prod") @max_duration("1h") @require_reason("INC-*") @require_approval("2 of ops")
    permit (principal, action, resource);`);

  test('lists the needs, the terms that then apply, and the permit that asks for them', async () => {
    const { body } = await explain(brokerOf({ policy }));

    expect(explainAnswerShape.parse(body)).toMatchObject({
      outcome: 'needs',
      needs: [
        { kind: 'approval', group: 'ops', count: 2 },
        { kind: 'reason', pattern: 'INC-*' },
      ],
      terms: { maxDurationSeconds: 3600 },
      policies: [{ id: 'prod', effect: 'permit' }],
      hangsOn: ['prod'],
      advice: [],
      nearest: [],
    });
  });

  test('lists no need that is met', async () => {
    const { body } = await explain(brokerOf({ policy }), { reason: 'INC-7' });

    expect(explainAnswerShape.parse(body).needs).toEqual([
      { kind: 'approval', group: 'ops', count: 2 },
    ]);
  });
});

describe('the budget of the caller', () => {
  test('pays for an explanation: 429 beyond it, and no target is looked up', async () => {
    const { limits, targets } = testBroker();
    let lookups = 0;
    const broker = brokerOf({
      limits: { ...limits, requestsPerCallerMinute: 2 },
      targets: {
        ...targets,
        find: async (...of) => {
          lookups += 1;
          return targets.find(...of);
        },
      },
    });

    const statuses = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await explain(broker)).status);

    expect(statuses).toEqual([200, 200, 429, 429]);
    expect(lookups).toBe(2);
  });

  test('is left alone by a request that is not valid', async () => {
    const { limits } = testBroker();
    const broker = brokerOf({ limits: { ...limits, requestsPerCallerMinute: 1 } });

    await explain(broker, { protocol: 'tcp' });
    await explain(broker, { target: 'no id' });

    expect(await explain(broker)).toMatchObject({ status: 200 });
  });
});
