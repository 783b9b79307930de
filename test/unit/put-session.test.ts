import { describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { sessionId, ssh } from '../support/sessions.ts';
import { testBroker, testPolicy, vm } from '../support/test-broker.ts';

const params = { id: sessionId };
collectLogLines();

describe('PUT /api/sessions/{id}', () => {
  const path = '/api/sessions/{id}';

  test('201 with endpoint and ticket, which no cache may keep', async () => {
    const answer = await call(testBroker(), 'PUT', path, { token: 'ada', params, body: ssh });

    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ id: sessionId, ticket: { form: 'jwt' } });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('location')).toBe(`https://broker.test/api/sessions/${sessionId}`);
  });

  test('200 without a ticket when it is repeated', async () => {
    const broker = testBroker();
    await call(broker, 'PUT', path, { token: 'ada', params, body: ssh });

    const again = await call(broker, 'PUT', path, { token: 'ada', params, body: ssh });

    expect(again.status).toBe(200);
    expect(again.body).not.toHaveProperty('ticket');
  });

  test('takes an id in any letter case for the same session', async () => {
    const broker = testBroker();
    const upper = { id: sessionId.toUpperCase() };
    await call(broker, 'PUT', path, { token: 'ada', params, body: ssh });

    const again = await call(broker, 'PUT', path, { token: 'ada', params: upper, body: ssh });

    expect(again.status).toBe(200);
  });

  test('400 with a pointer to every fault', async () => {
    const body = { protocol: 'telnet', port: 0, durationSeconds: 1, extra: true };

    const answer = await call(testBroker(), 'PUT', path, { token: 'ada', params, body });

    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      code: 'request-invalid',
      error: { code: 'request-invalid' },
      faults: [
        { pointer: '/target' },
        { pointer: '/protocol' },
        { pointer: '/port' },
        { pointer: '/durationSeconds' },
        { pointer: '' },
      ],
    });
  });

  test('400 with a pointer to the port that tcp needs', async () => {
    const body = { target: vm.id, protocol: 'tcp' };

    const answer = await call(testBroker(), 'PUT', path, { token: 'ada', params, body });

    expect(answer.body).toMatchObject({ status: 400, faults: [{ pointer: '/port' }] });
  });

  test.each([
    ['a target that is no id', { body: { ...ssh, target: 'vm-1' } }],
    ['a control character in the reason', { body: { ...ssh, reason: 'a\u0000b' } }],
    ['a bidirectional override in the reason', { body: { ...ssh, reason: 'a\u202Eb' } }],
    ['a lone surrogate in the reason', { body: { ...ssh, reason: 'a\uD800b' } }],
    ['a body that is not JSON', { body: '{' }],
    ['an unknown api-version', { body: ssh, query: { 'api-version': '1999-01-01' } }],
    ['an id that is no UUID', { body: ssh, params: { id: 'mine' } }],
  ])('400 for %s', async (_name, sent) => {
    const answer = await call(testBroker(), 'PUT', path, { token: 'ada', params, ...sent });

    expect(answer.status).toBe(400);
  });

  test('401 with a challenge without a token', async () => {
    const answer = await call(testBroker(), 'PUT', path, { params, body: ssh });

    expect(answer).toMatchObject({ status: 401, body: { code: 'token-missing' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('401 for a token that is not believed, whatever the platform headers say', async () => {
    const headers = {
      'x-ms-client-principal': 'eyJ1c2VyIjoiYWRhIn0=',
      'x-ms-client-principal-id': 'ada',
    };

    const answer = await call(testBroker(), 'PUT', path, {
      token: 'nobody',
      params,
      headers,
      body: ssh,
    });

    expect(answer).toMatchObject({ status: 401, body: { code: 'token-invalid' } });
  });

  test('401 for two tokens in one request', async () => {
    const headers = { authorization: 'Bearer ada, Bearer eve' };

    const answer = await call(testBroker(), 'PUT', path, { params, headers, body: ssh });

    expect(answer.status).toBe(401);
  });

  test('403 with the advice of the policy', async () => {
    const broker = testBroker({ policy: testPolicy({}, ['Ask the owner.']) });

    const answer = await call(broker, 'PUT', path, { token: 'eve', params, body: ssh });

    expect(answer).toMatchObject({
      status: 403,
      body: { code: 'access-denied', advice: ['Ask the owner.'] },
    });
    expect(answer.headers.get('x-ms-error-code')).toBe('access-denied');
  });

  test('409 for another request under the same id', async () => {
    const broker = testBroker();
    await call(broker, 'PUT', path, { token: 'ada', params, body: ssh });

    const other = { ...ssh, reason: 'something else' };
    const answer = await call(broker, 'PUT', path, { token: 'ada', params, body: other });

    expect(answer).toMatchObject({ status: 409, body: { code: 'session-conflict' } });
  });

  test('411 for a chunked body, which the host drops', async () => {
    const headers = { 'transfer-encoding': 'chunked', 'content-type': 'application/json' };

    const answer = await call(testBroker(), 'PUT', path, { token: 'ada', params, headers });

    expect(answer).toMatchObject({ status: 411, body: { code: 'length-required' } });
  });

  test('413 for a body that is too large', async () => {
    const body = { ...ssh, reason: 'x'.repeat(70_000) };

    const answer = await call(testBroker(), 'PUT', path, { token: 'ada', params, body });

    expect(answer).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
  });

  test('415 for a body that is not JSON by its type', async () => {
    const headers = { 'content-type': 'text/plain' };

    const answer = await call(testBroker(), 'PUT', path, {
      token: 'ada',
      params,
      headers,
      body: ssh,
    });

    expect(answer).toMatchObject({ status: 415, body: { code: 'media-type-unsupported' } });
  });

  test('429 with Retry-After when the caller has too many sessions', async () => {
    const limits = { ...testBroker().limits, sessionsPerCaller: 1 };
    const broker = testBroker({ limits });
    await call(broker, 'PUT', path, { token: 'ada', params, body: ssh });

    const next = { id: broker.newId() };
    const answer = await call(broker, 'PUT', path, { token: 'ada', params: next, body: ssh });

    expect(answer).toMatchObject({ status: 429, body: { code: 'session-limit' } });
    expect(answer.headers.get('retry-after')).toBe('60');
  });
});
