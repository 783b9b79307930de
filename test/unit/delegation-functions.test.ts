import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { revokeDelegation } from '../../lib/revoke-delegation.ts';
import { call } from '../support/call.ts';
import { bot, delegationId, gift, give, startDelegating } from '../support/delegations.ts';
import { ssh } from '../support/sessions.ts';
import { ada } from '../support/test-broker.ts';

const path = '/api/delegations/{id}';
const params = { id: delegationId };

async function put(broker: Broker, changes: object = {}, token = 'ada') {
  return call(broker, 'PUT', path, { token, params, body: { ...gift, ...changes } });
}

describe('PUT /api/delegations/{id}', () => {
  test('201 when it is given, 200 when it was already, 409 for another one', async () => {
    const { broker } = startDelegating();

    expect(await put(broker)).toMatchObject({ status: 201, body: { state: 'active' } });
    expect(await put(broker)).toMatchObject({ status: 200, body: { state: 'active' } });
    expect(await put(broker, { purpose: 'Other.' })).toMatchObject({
      status: 409,
      body: { code: 'delegation-conflict' },
    });
  });

  test.each<[string, object]>([
    ['/to', { to: 'bot of ada' }],
    ['/targets', { targets: [] }],
    ['/targets', { targets: Array.from({ length: 101 }, () => delegationId) }],
    ['/targets/0', { targets: ['vm-1'] }],
    ['/services', { services: [] }],
    ['/services/0/port', { services: [{ protocol: 'ssh', port: 0 }] }],
    ['/expiresAt', { expiresAt: 'tomorrow' }],
    ['/expiresAt', { expiresAt: '2026-04-02T12:00:00Z' }],
    ['/limits/maxSessions', { limits: { maxSessions: 101 } }],
    ['/limits', { limits: { maxIdleSeconds: 5 } }],
    ['/purpose', { purpose: 'a\nb' }],
    ['', { from: 'eve' }],
  ])('400 with a pointer to %s', async (pointer, changes) => {
    const { broker } = startDelegating();

    expect(await put(broker, changes)).toMatchObject({
      status: 400,
      body: { faults: [{ pointer }] },
    });
  });

  test('400 for an id that is no UUID', async () => {
    const { broker } = startDelegating();
    const sent = { token: 'ada', params: { id: 'x' }, body: gift };

    expect(await call(broker, 'PUT', path, sent)).toMatchObject({ status: 400 });
  });

  test('401 without a token', async () => {
    const { broker } = startDelegating();

    expect(await call(broker, 'PUT', path, { params, body: gift })).toMatchObject({ status: 401 });
  });

  test('403 for a workload', async () => {
    const { broker } = startDelegating();

    expect(await put(broker, {}, 'bot')).toMatchObject({ status: 403 });
  });

  test('takes the ids of Entra in any case, and no other', async () => {
    const { broker } = startDelegating();
    const guids = '9B7B0000-0000-4000-8000-0000000000BB.9B7B0000-0000-4000-8000-0000000000CC';
    const other = { token: 'ada', params: { id: ada.id.slice(0, 36) } };

    expect(await put(broker, { to: guids })).toMatchObject({ body: { to: guids.toLowerCase() } });
    expect(
      await call(broker, 'PUT', path, { ...other, body: { ...gift, to: 'github.Repo:A/b' } }),
    ).toMatchObject({ body: { to: 'github.Repo:A/b' } });
  });
});

describe('the other methods of a delegation', () => {
  test('GET: 200 for giver and receiver, 404 for others', async () => {
    const { broker } = startDelegating();
    await give(broker);

    for (const [token, status] of [
      ['ada', 200],
      ['bot', 200],
      ['robot', 404],
      ['eve', 404],
    ] as const)
      expect(await call(broker, 'GET', path, { token, params })).toMatchObject({ status });
  });

  test('DELETE: 204, again when it is revoked already, 404 for others', async () => {
    const { broker } = startDelegating();
    await give(broker);

    for (const [token, status] of [
      ['eve', 404],
      ['ada', 204],
      ['bot', 204],
    ] as const)
      expect(await call(broker, 'DELETE', path, { token, params })).toMatchObject({ status });
  });

  test('POST: 405', async () => {
    const { broker } = startDelegating();

    const answer = await call(broker, 'POST', path, { token: 'ada', params });

    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('PUT, GET, DELETE');
  });
});

describe('GET /api/delegations', () => {
  test('200 with the link of the next page', async () => {
    const { broker, clock } = startDelegating();
    for (let i = 0; i < 51; i += 1) {
      await give(broker, { id: broker.newId() });
      clock.pass(1);
    }

    const first = await call(broker, 'GET', '/api/delegations', {
      token: 'ada',
      query: { as: 'giver' },
    });
    const link = /"nextLink":"([^"]+)"/.exec(JSON.stringify(first.body))?.[1] ?? '';
    const query = Object.fromEntries(new URL(link).searchParams);
    const second = await call(broker, 'GET', '/api/delegations', { token: 'ada', query });

    expect(query).toMatchObject({ as: 'giver' });
    expect(second).toMatchObject({ status: 200, body: { value: [{ to: bot.id }] } });
  });

  test('400 for a position that was edited, 403 for all without the role', async () => {
    const { broker } = startDelegating();
    const list = async (query: Record<string, string>) =>
      call(broker, 'GET', '/api/delegations', { token: 'ada', query });

    expect(await list({ after: '../x' })).toMatchObject({ status: 400 });
    expect(await list({ as: 'all' })).toMatchObject({ status: 403 });
  });
});

describe('sessions in the name of a person', () => {
  const session = { token: 'bot', params: { id: delegationId } };
  const asked = { ...ssh, delegation: delegationId.toUpperCase() };

  test('PUT /api/sessions/{id}: 201, and 403 once the delegation is revoked', async () => {
    const { broker } = startDelegating();
    await give(broker);
    const made = await call(broker, 'PUT', '/api/sessions/{id}', { ...session, body: asked });
    await revokeDelegation(broker, ada, delegationId);
    const late = { ...session, params: { id: ada.id.slice(0, 36) }, body: asked };

    expect(made).toMatchObject({ status: 201, body: { delegation: delegationId } });
    expect(await call(broker, 'PUT', '/api/sessions/{id}', late)).toMatchObject({ status: 403 });
    const query = { onBehalfOf: 'me' };
    expect(await call(broker, 'GET', '/api/sessions', { token: 'ada', query })).toMatchObject({
      status: 200,
      body: { value: [{ endReason: 'delegation-revoked', onBehalfOf: { name: 'ada' } }] },
    });
  });
});
