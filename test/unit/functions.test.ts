import { describe, expect, test } from 'vitest';
import { log, toChain } from '../../functions/log.ts';
import { handler as reconcile } from '../../functions/reconcile.ts';
import { operations } from '../../lib/openapi.ts';
import type { Path } from '../support/call.ts';
import { call, handlers } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { memoryTable } from '../support/memory-table.ts';
import { nonce, openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import { memoryAudit, testBroker, testClock, vm } from '../support/test-broker.ts';

const params = { id: sessionId };
const lines = collectLogLines();

describe('the log', () => {
  test('holds no ticket, token or query', async () => {
    const broker = testBroker();
    const { body } = await call(broker, 'PUT', '/api/sessions/{id}', {
      token: 'ada',
      params,
      body: ssh,
    });
    await call(broker, 'GET', '/api/sessions', { token: 'ada', query: { status: 'ready' } });

    const ticket = /"ticket":"([^"]+)"/.exec(JSON.stringify(body))?.[1] ?? 'none';
    expect(ticket).toMatch(/^eyJ/);
    expect(lines.join('\n')).not.toContain(ticket.split('.')[2]);
    expect(lines.join('\n')).not.toMatch(/status=ready|Bearer/);
  });

  test('chains the causes of a failure, outermost first', () => {
    const failure = new Error('outer', { cause: new Error('inner') });

    expect(toChain(failure)).toEqual(['Error: outer', 'Error: inner']);
  });

  test('shows the messages of an error wherever one is logged', () => {
    log('failed', { failure: new Error('outer', { cause: new Error('inner') }) });

    expect(lines.at(-1)).toContain('"failure":["Error: outer","Error: inner"]');
  });
});

describe('the other resources', () => {
  test('POST /api/sessions: 201 under an id that the broker chose', async () => {
    const answer = await call(testBroker(), 'POST', '/api/sessions', { token: 'ada', body: ssh });

    expect(answer).toMatchObject({ status: 201, body: { state: 'ready' } });
  });

  test('GET /api/sessions: 200 with a link to the next page', async () => {
    const clock = testClock();
    const limits = { ...testBroker().limits, sessionsPerCaller: 100 };
    const broker = testBroker({ now: clock.now, limits });
    for (let i = 0; i < 51; i += 1) {
      await openSession(broker, { id: broker.newId() });
      clock.pass(1);
    }

    const first = await call(broker, 'GET', '/api/sessions', {
      token: 'ada',
      query: { status: 'ready' },
    });
    const link = /"nextLink":"([^"]+)"/.exec(JSON.stringify(first.body))?.[1] ?? '';
    const query = Object.fromEntries(new URL(link).searchParams);
    const second = await call(broker, 'GET', '/api/sessions', { token: 'ada', query });

    expect(query).toMatchObject({ status: 'ready' });
    expect(second.body).toMatchObject({ value: [{ state: 'ready' }] });
    expect(second.body).not.toHaveProperty('nextLink');
  });

  test('GET /api/sessions: 400 for a position that was edited', async () => {
    const query = { after: 'session|../../x' };

    const answer = await call(testBroker(), 'GET', '/api/sessions', { token: 'ada', query });

    expect(answer).toMatchObject({ status: 400, body: { faults: [{ pointer: '/after' }] } });
  });

  test('GET /api/sessions/{id}: 404 alike for absent and for somebody else’s', async () => {
    const broker = testBroker();
    await openSession(broker);
    const path = '/api/sessions/{id}';

    const other = await call(broker, 'GET', path, { token: 'eve', params });
    const absent = await call(broker, 'GET', path, { token: 'eve', params: { id: nonce } });

    expect(other.status).toBe(404);
    expect(withoutRequestId(other.body)).toEqual(withoutRequestId(absent.body));
  });

  test('GET /api/sessions/{id}: 200 with the connections', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);

    const answer = await call(broker, 'GET', '/api/sessions/{id}', { token: 'ada', params });

    expect(answer.body).toMatchObject({ state: 'active', connections: [{ state: 'open' }] });
  });

  test('POST …/tickets: 201 with one more ticket', async () => {
    const broker = testBroker();
    await openSession(broker);

    const sent = { token: 'ada', params, body: { form: 'handle' } };
    const answer = await call(broker, 'POST', '/api/sessions/{id}/tickets', sent);

    expect(answer).toMatchObject({ status: 201, body: { form: 'handle' } });
  });

  test('POST …/tickets: 201 without a body', async () => {
    const broker = testBroker();
    await openSession(broker);
    const headers = { 'content-length': '0' };

    const answer = await call(broker, 'POST', '/api/sessions/{id}/tickets', {
      token: 'ada',
      params,
      headers,
    });

    expect(answer).toMatchObject({ status: 201, body: { form: 'jwt' } });
  });

  test('POST …/terminate: 200 with the ended session', async () => {
    const broker = testBroker();
    await openSession(broker);

    const answer = await call(broker, 'POST', '/api/sessions/{id}/terminate', {
      token: 'ada',
      params,
    });

    expect(answer).toMatchObject({
      status: 200,
      body: { state: 'ended', endReason: 'terminated' },
    });
  });

  test('GET /api/targets: 200 with what the caller may reach', async () => {
    const mine = await call(testBroker(), 'GET', '/api/targets', { token: 'ada' });
    const hers = await call(testBroker(), 'GET', '/api/targets', { token: 'eve' });

    expect(mine.body).toMatchObject({ value: [{ id: vm.id, services: [{ port: 22 }] }] });
    expect(hers.body).toEqual({ value: [] });
  });

  // Threat 12: the broker can read what the caller may not, and must not show it.
  test('GET /api/targets/{id}: 404 alike for absent and forbidden, byte for byte', async () => {
    const path = '/api/targets/{id}';
    const broker = testBroker();

    const forbidden = await call(broker, 'GET', path, { token: 'eve', params: { id: vm.id } });
    const absent = await call(broker, 'GET', path, { token: 'eve', params: { id: nonce } });

    expect(forbidden.status).toBe(404);
    expect(withoutRequestId(forbidden.body)).toEqual(withoutRequestId(absent.body));
    expect([...forbidden.headers.keys()]).toEqual([...absent.headers.keys()]);
  });

  test('GET /api/targets/{id}: 200 without the address', async () => {
    const answer = await call(testBroker(), 'GET', '/api/targets/{id}', {
      token: 'ada',
      params: { id: vm.id },
    });

    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.body)).not.toContain('10.0.0.4');
  });

  test('GET /api/whoami: 200 with what the broker believes', async () => {
    const answer = await call(testBroker(), 'GET', '/api/whoami', { token: 'ada' });

    expect(answer.body).toMatchObject({ name: 'ada', kind: 'person', roles: ['Session.Request'] });
  });

  test('405 with Allow for a method that a resource has not', async () => {
    const answer = await call(testBroker(), 'DELETE', '/api/sessions/{id}', {
      token: 'ada',
      params,
    });

    expect(answer).toMatchObject({ status: 405, body: { code: 'method-not-allowed' } });
    expect(answer.headers.get('allow')).toBe('PUT, GET');
  });

  test('discovery, keys, health and the OpenAPI document need no token', async () => {
    const broker = testBroker();

    const open = [
      '/.well-known/sallyport',
      '/.well-known/jwks.json',
      '/api/openapi.json',
      '/api/health/live',
      '/api/health/ready',
    ] as const;
    for (const path of open) expect((await call(broker, 'GET', path)).status).toBe(200);
  });

  test('the OpenAPI document asks for If-Match where an answer without it is 428', async () => {
    const { body } = await call(testBroker(), 'GET', '/api/openapi.json');

    expect(body).toMatchObject({ paths: { '/api/sessions/{id}/approval': { post: {} } } });
    expect(JSON.stringify(body)).toContain('"name":"If-Match","in":"header","required":true');
  });

  test('health turns red when the state cannot be read', async () => {
    const state = memoryTable(() => 'before');

    const answer = await call(testBroker({ state }), 'GET', '/api/health/ready');

    expect(answer).toMatchObject({
      status: 503,
      body: { status: 'unhealthy', checks: { state: 'unhealthy', keys: 'healthy' } },
    });
  });

  test('the timer reconciles', async () => {
    const clock = testClock();
    const audit = memoryAudit();
    const broker = testBroker({ now: clock.now, audit });
    await openSession(broker);
    clock.pass(3601);

    await reconcile(undefined, undefined, broker);

    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.ended', endReason: 'unused' });
  });
});

describe('the OpenAPI document', () => {
  test('has every path that has a handler, and no other', () => {
    const documented = new Set(operations.map(({ path }) => path));

    expect([...documented].toSorted()).toEqual(Object.keys(handlers).toSorted());
  });

  test.each(operations.filter(({ isOpen }) => isOpen !== true))(
    '$method $path: 401 without a token',
    async ({ method, path }) => {
      const known = Object.keys(handlers).find((name): name is Path => name === path);
      if (known === undefined) throw new Error('no handler');

      const answer = await call(testBroker(), method, known, { params, body: {} });

      expect(answer.status).toBe(401);
    },
  );
});

function withoutRequestId(body: unknown): unknown {
  return typeof body === 'object' && body !== null ? { ...body, requestId: '' } : body;
}
