import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { memoryTable } from '../support/memory-table.ts';
import { sessionId, ssh } from '../support/sessions.ts';
import { testBroker, testTargets } from '../support/test-broker.ts';

const params = { id: sessionId };
const lines = collectLogLines();

type Fail = () => Promise<never>;

describe('PUT /api/sessions/{id} when something is down', () => {
  const path = '/api/sessions/{id}';

  test.each([
    ['audit-unavailable', (fail: Fail) => ({ audit: { append: fail } })],
    ['state-unavailable', (fail: Fail) => ({ state: { ...memoryTable(), insert: fail } })],
    ['state-unavailable', (fail: Fail) => ({ state: { ...memoryTable(), find: fail } })],
    ['state-unavailable', (fail: Fail) => ({ state: { ...memoryTable(), list: fail } })],
    ['keys-unavailable', (fail: Fail) => ({ keys: { ...testBroker().keys, current: fail } })],
  ] as const)('503 when %s, no ticket, and when to ask again', async (code, toChanges) => {
    const down = new BrokerError(code, 'Try again.', { retryAfterSeconds: 5 });
    const broker = testBroker(toChanges(async () => Promise.reject(down)));

    const answer = await call(broker, 'PUT', path, { token: 'ada', params, body: ssh });

    expect(answer).toMatchObject({ status: 503, body: { code } });
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(JSON.stringify(answer.body)).not.toContain('eyJ');
  });

  test.each([
    ['targets-timeout', 504],
    ['targets-throttled', 503],
    ['targets-unavailable', 502],
  ] as const)('answers %s with %i', async (code, status) => {
    const fail = async () => Promise.reject(new BrokerError(code, 'Try again.'));
    const targets = { ...testTargets(), find: fail };

    const answer = await call(testBroker({ targets }), 'PUT', path, {
      token: 'ada',
      params,
      body: ssh,
    });

    expect(answer).toMatchObject({ status, body: { code } });
  });

  test('500 without a word for a bug, with the cause in the log', async () => {
    const targets = { ...testTargets(), find: async () => Promise.reject(new Error('a bug')) };

    const answer = await call(testBroker({ targets }), 'PUT', path, {
      token: 'ada',
      params,
      body: ssh,
    });

    expect(answer).toMatchObject({ status: 500, body: undefined });
    expect(lines.join('\n')).toContain('a bug');
  });

  // Azure clients read the code of an error only from application/json.
  test('sends a problem as application/json to who accepts just that', async () => {
    const headers = { accept: 'application/json' };

    const plain = await call(testBroker(), 'PUT', path, { params, headers, body: ssh });
    const problem = await call(testBroker(), 'PUT', path, { params, body: ssh });

    expect(plain.headers.get('content-type')).toBe('application/json');
    expect(problem.headers.get('content-type')).toBe('application/problem+json');
  });

  test('costs nothing to refuse: no table and no target is asked for a bad request', async () => {
    let calls = 0;
    const count = (): undefined => {
      calls += 1;
    };
    const targets = { ...testTargets(), find: async () => count() };
    const broker = testBroker({ targets, state: memoryTable(count) });

    await call(broker, 'PUT', path, { params, body: ssh });
    await call(broker, 'PUT', path, { token: 'nobody', params, body: ssh });
    await call(broker, 'PUT', path, { token: 'ada', params, body: {} });
    await call(broker, 'PUT', path, { token: 'ada', params, body: '{' });

    expect(calls).toBe(0);
  });
});
