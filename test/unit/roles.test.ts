import { describe, expect, test } from 'vitest';
import { closeConnection } from '../../lib/close-connection.ts';
import type { Caller } from '../../lib/caller.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { listSessions, readSession } from '../../lib/list-sessions.ts';
import { listTargets, readTarget } from '../../lib/reachable-targets.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { requestSession } from '../../lib/request-session.ts';
import { terminateSessions } from '../../lib/terminate-sessions.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { instance, nonce, openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import { ada, eve, gateway, testBroker, vm } from '../support/test-broker.ts';

collectLogLines();

const nobody: Caller = { ...ada, roles: [] };
const reader: Caller = { ...eve, roles: ['Session.Request', 'Session.Read.All'] };
const terminator: Caller = { ...eve, roles: ['Session.Terminate.All'] };
const ending = {
  reason: 'client-closed',
  bytesUp: 0,
  bytesDown: 0,
  durationMilliseconds: 0,
} as const;

async function start() {
  const broker = testBroker();
  const { ticket } = await openSession(broker);
  await redeem(broker, ticket.ticket);
  return broker;
}

describe('who has not the role Session.Request', () => {
  test.each([
    ['request a session', async (b) => requestSession(b, nobody, ssh, { id: b.newId() })],
    ['make a ticket', async (b) => createTicket(b, nobody, sessionId, { form: 'jwt' })],
    [
      'extend a session',
      async (b) => extendSession(b, nobody, sessionId, { durationSeconds: 7200 }),
    ],
    ['list targets', async (b) => listTargets(b, nobody, {})],
    ['read a target', async (b) => readTarget(b, nobody, vm.id)],
  ] satisfies readonly (readonly [
    string,
    (b: ReturnType<typeof testBroker>) => Promise<unknown>,
  ])[])('cannot %s, not even of an own session', async (_name, act) => {
    const broker = await start();

    await expect(act(broker)).rejects.toMatchObject({ code: 'role-missing' });
  });

  test('can still end an own session', async () => {
    const broker = await start();

    await expect(terminateSession(broker, nobody, sessionId)).resolves.toMatchObject({
      state: 'ended',
    });
  });
});

describe('who may read all sessions', () => {
  test('reads one of another caller, and lists those of a caller by name', async () => {
    const broker = await start();

    expect(await readSession(broker, reader, sessionId)).toMatchObject({ caller: { id: ada.id } });
    const { value } = await listSessions(broker, reader, { caller: ada.id });
    expect(value).toMatchObject([{ id: sessionId }]);
  });

  test('ends none: one of another caller is as if it were absent', async () => {
    const broker = await start();

    await expect(terminateSession(broker, reader, sessionId)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(terminateSessions(broker, reader, { caller: ada.id })).rejects.toMatchObject({
      code: 'role-missing',
    });
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ state: 'active' });
  });
});

describe('who may end all sessions', () => {
  test('ends one of another caller, and reads none', async () => {
    const broker = await start();

    await expect(readSession(broker, terminator, sessionId)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(terminateSession(broker, terminator, sessionId)).resolves.toMatchObject({
      endReason: 'terminated',
    });
  });
});

describe('who has no role about other callers', () => {
  test.each([ada.id, 'all'])('cannot list the sessions of %s', async (caller) => {
    const broker = await start();

    await expect(listSessions(broker, eve, { caller })).rejects.toMatchObject({
      code: 'role-missing',
    });
  });

  test('lists the own sessions by the own name', async () => {
    const broker = await start();

    const { value } = await listSessions(broker, ada, { caller: ada.id });

    expect(value).toMatchObject([{ id: sessionId }]);
  });
});

// Threat 26.
describe('a gateway', () => {
  const connections = [{ connection: nonce, session: sessionId, bytesUp: 0, bytesDown: 0 }];

  test.each([
    ['a person', ada, 'role-missing'],
    ['a workload that is not listed', { ...gateway, id: 'tenant.other' }, 'gateway-unknown'],
    ['a person with the role', { ...gateway, kind: 'person' as const }, 'gateway-unknown'],
  ])('is not %s', async (_name, caller: Caller, code) => {
    const broker = await start();
    const report = { instance, session: sessionId, ...ending };

    await expect(renewLeases(broker, caller, { instance, connections })).rejects.toMatchObject({
      code,
    });
    await expect(closeConnection(broker, caller, nonce, report)).rejects.toMatchObject({ code });
  });

  test('reports no close for a process of another pool', async () => {
    const broker = await start();
    const spoke = { ...broker, gateway: { ...broker.gateway, id: 'spoke' } };
    const report = { instance, session: sessionId, ...ending };

    await expect(closeConnection(spoke, gateway, nonce, report)).rejects.toMatchObject({
      code: 'gateway-unknown',
    });
    const { connections: shown } = await readSession(broker, ada, sessionId);
    expect(shown).toMatchObject([{ state: 'open' }]);
  });

  // Only a gateway may make the broker read two megabytes.
  test.each([
    '/api/gateway/connections',
    '/api/gateway/leases',
    '/api/gateway/connections/{id}/close',
    '/api/gateway/probes',
    '/api/gateway/leaks',
  ] as const)('403 for a person at %s before the body is read', async (path) => {
    const sent = { params: { id: nonce }, body: '{'.repeat(3_000_000) };

    const person = await call(testBroker(), 'POST', path, { token: 'ada', ...sent });
    const own = await call(testBroker(), 'POST', path, { token: 'gateway', ...sent });

    expect(person).toMatchObject({ status: 403, body: { code: 'role-missing' } });
    expect(own).toMatchObject({ status: 413 });
  });
});
