import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import { simulatePolicies } from '../../lib/simulate.ts';
import { simulateRequestShape } from '../../lib/simulate-view.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { testTrials } from '../support/policies.ts';
import { ada, testBroker } from '../support/test-broker.ts';

collectLogLines();

const path = '/api/policy/simulate';
const sound = '@id("all") permit (principal, action, resource);';
const day = { from: '2026-03-02T00:00:00Z', to: '2026-03-03T00:00:00Z' };

const auditor: Caller = { ...ada, roles: ['Policy.Read'] };

function brokerOf(changes: Partial<Broker> = {}): Broker {
  return testBroker({ identify: async () => auditor, ...changes });
}

function toSet(text: string): object {
  return { policies: [{ name: 'a.cedar', text }] };
}

describe('POST /api/policy/simulate', () => {
  test('403 without Policy.Read, before the body is read', async () => {
    const body = 'not JSON';

    const answer = await call(testBroker(), 'POST', path, { token: 'grace', body });

    expect(answer).toMatchObject({ status: 403, body: { code: 'role-missing' } });
  });

  test.each([
    ['no set', {}, '/policies'],
    [
      'a case of another form',
      { ...toSet(sound), cases: [{ input: {} }] },
      '/cases/0/input/caller',
    ],
    [
      'a position that was made up',
      { ...toSet(sound), audit: { ...day, nextFrom: 'x' } },
      '/audit/nextFrom',
    ],
    ['two years', { ...toSet(sound), audit: { ...day, from: '2024-03-02T00:00:00Z' } }, '/audit'],
  ])('400 for %s', async (_, body, pointer) => {
    const answer = await call(brokerOf(), 'POST', path, { token: 'ada', body });

    expect(answer).toMatchObject({ status: 400 });
    expect(JSON.stringify(answer.body)).toContain(`"pointer":"${pointer}"`);
  });

  test('413 for a body beyond what a set and its cases need', async () => {
    const body = toSet('x'.repeat(5 * 1024 * 1024));

    const answer = await call(brokerOf(), 'POST', path, { token: 'ada', body });

    expect(answer).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
  });

  test('429 over the budget of the caller, from the second time on before the body is read', async () => {
    const { limits } = testBroker();
    const broker = brokerOf({ limits: { ...limits, requestsPerCallerMinute: 1 } });
    const check = simulateRequestShape.parse(toSet(sound));
    await simulatePolicies(broker, auditor, check, testTrials());
    await simulatePolicies(broker, auditor, check, testTrials()).catch(() => undefined);

    const answer = await call(broker, 'POST', path, { token: 'ada', body: 'not JSON' });

    expect(answer).toMatchObject({ status: 429, body: { code: 'rate-limited' } });
    expect(answer.headers.get('retry-after')).toBe('60');
  });
});
