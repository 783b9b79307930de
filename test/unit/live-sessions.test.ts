import { describe, expect, test } from 'vitest';
import { closeConnection } from '../../lib/close-connection.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { memoryTable } from '../support/memory-table.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  eve,
  gateway,
  grace,
  memoryAudit,
  testBroker,
  testClock,
} from '../support/test-broker.ts';

const carried = { bytesUp: 10, bytesDown: 20 };
const connections = [{ connection: nonce, session: sessionId, ...carried }];

function start() {
  const clock = testClock();
  const audit = memoryAudit();
  const state = memoryTable();
  return { clock, audit, state, broker: testBroker({ now: clock.now, audit, state }) };
}

async function startConnection() {
  const started = start();
  const { ticket } = await openSession(started.broker);
  await redeem(started.broker, ticket.ticket);
  return started;
}

describe('renewLeases', () => {
  test('says nothing about a connection that goes on', async () => {
    const { broker } = await startConnection();

    const answer = await renewLeases(broker, gateway, { instance, connections });

    expect(answer.verdicts).toEqual([]);
  });

  test('closes the connections of a session that was terminated', async () => {
    const { broker } = await startConnection();
    const { cursor } = await renewLeases(broker, gateway, { instance, connections });
    await terminateSession(broker, ada, sessionId);

    const answer = await renewLeases(broker, gateway, { instance, cursor, connections });

    expect(answer.verdicts).toEqual([
      { connection: nonce, verdict: 'close', reason: 'session-terminated' },
    ]);
  });

  // A redemption and a termination that cross must not leave a connection that nobody cuts.
  test('closes a connection that was redeemed just as its session was terminated', async () => {
    const { broker, clock } = await startConnection();
    await terminateSession(broker, ada, sessionId);
    clock.pass(10);
    const { cursor } = await renewLeases(broker, gateway, { instance, connections: [] });
    clock.pass(10);

    const answer = await renewLeases(broker, gateway, { instance, cursor, connections });

    expect(answer.verdicts).toMatchObject([{ connection: nonce, verdict: 'close' }]);
  });

  test('closes a connection that the broker does not know', async () => {
    const { broker } = start();

    const answer = await renewLeases(broker, gateway, { instance, connections });

    expect(answer.verdicts).toEqual([
      { connection: nonce, verdict: 'close', reason: 'lease-lost' },
    ]);
  });

  test('records the end of a connection that its gateway never joined', async () => {
    const { broker, audit, clock } = await startConnection();
    clock.pass(61);

    await renewLeases(broker, gateway, { instance, connections: [] });

    expect(audit.entries.at(-1)).toMatchObject({
      type: 'connection.closed',
      connection: nonce,
      reason: 'gateway-failed',
    });
  });

  // Threat 26: a gateway may not renew what belongs to another pool.
  test('refuses a process of another pool', async () => {
    const { broker } = await startConnection();
    const other = { ...gateway, id: 'tenant.other' };
    const pool = { ...broker.gateway, id: 'spoke', caller: other.id };

    const refusal = renewLeases({ ...broker, gateway: pool }, other, { instance, connections });

    await expect(refusal).rejects.toMatchObject({ code: 'gateway-unknown' });
  });

  test('does not grow in table calls with the number of sessions', async () => {
    let calls = 0;
    const state = memoryTable(() => {
      calls += 1;
      return undefined;
    });
    const broker = testBroker({ state });
    const many: { connection: string; session: string; bytesUp: number; bytesDown: number }[] = [];
    for (let i = 0; i < 9; i += 1) {
      const session = await openSession(broker, { id: broker.newId() });
      const { connection } = await redeem(broker, session.ticket.ticket, { nonce: broker.newId() });
      many.push({ connection, session: session.id, ...carried });
    }
    calls = 0;

    await renewLeases(broker, gateway, { instance, connections: many });

    expect(calls).toBeLessThan(8);
  });
});

describe('closeConnection', () => {
  const ending = { reason: 'client-closed', durationMilliseconds: 1500, ...carried } as const;

  test('records the bytes and the reason, once', async () => {
    const { broker, audit } = await startConnection();
    const report = { instance, session: sessionId, ...ending };

    await closeConnection(broker, gateway, nonce, report);
    await closeConnection(broker, gateway, nonce, report);

    const closed = audit.entries.filter(({ type }) => type === 'connection.closed');
    expect(closed).toMatchObject([{ connection: nonce, gateway: 'hub', ...ending }]);
  });

  test('shows the caller how the connection ended', async () => {
    const { broker } = await startConnection();

    await closeConnection(broker, gateway, nonce, { instance, session: sessionId, ...ending });

    const { connections: shown } = await readSession(broker, ada, sessionId);
    expect(shown).toMatchObject([
      { id: nonce, state: 'closed', reason: 'client-closed', ...carried },
    ]);
  });

  test('gives the place of the connection back', async () => {
    const { broker, state } = await startConnection();

    await closeConnection(broker, gateway, nonce, { instance, session: sessionId, ...ending });

    const places = state
      .rows()
      .filter(({ partition, row }) => partition === sessionId && row.startsWith('slot|'));
    expect(places).toEqual([]);
  });

  test('refuses a report that names another session', async () => {
    const { broker } = await startConnection();

    const report = closeConnection(broker, gateway, nonce, { instance, session: nonce, ...ending });

    await expect(report).rejects.toMatchObject({ code: 'request-invalid' });
  });
});

describe('terminateSession', () => {
  test('records who ended the session before it ends', async () => {
    const { broker, audit } = await startConnection();

    const view = await terminateSession(broker, grace, sessionId);

    expect(view).toMatchObject({ state: 'ended', endReason: 'terminated' });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.ended', by: { id: grace.id } });
  });

  test('leaves a session that has ended as it is', async () => {
    const { broker, audit } = await startConnection();
    await terminateSession(broker, ada, sessionId);
    await terminateSession(broker, ada, sessionId);

    expect(audit.entries.filter(({ type }) => type === 'session.ended')).toHaveLength(1);
  });

  test('lets the caller open another session in its place', async () => {
    const limits = { ...testBroker().limits, sessionsPerCaller: 1 };
    const broker = testBroker({ limits });
    await openSession(broker);
    await terminateSession(broker, ada, sessionId);

    await expect(openSession(broker, { id: broker.newId() })).resolves.toMatchObject({
      state: 'ready',
    });
  });

  test('refuses the session of somebody else as if it were absent', async () => {
    const { broker } = await startConnection();

    await expect(terminateSession(broker, eve, sessionId)).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

describe('reconcile', () => {
  test('ends a session at its deadline, once, with a true reason', async () => {
    const { broker, audit, clock } = await startConnection();
    clock.pass(3601);

    await Promise.all([reconcile(broker), reconcile(broker)]);
    await reconcile(broker);

    const ended = audit.entries.filter(({ type }) => type === 'session.ended');
    expect(ended).toMatchObject([{ session: sessionId, endReason: 'deadline' }]);
  });

  // A broker that has begun and is slow must not be overtaken, and one that was killed must be.
  test('leaves a session alone that another process has begun to end, for a minute', async () => {
    const { broker, audit, state, clock } = await startConnection();
    clock.pass(3601);
    const append = async () => Promise.reject(new Error('killed'));
    await reconcile({ ...broker, audit: { append } });
    const other = testBroker({ now: clock.now, audit, state });

    clock.pass(59);
    await reconcile(other);
    expect(audit.entries.at(-1)).toMatchObject({ type: 'connection.opened' });
    clock.pass(2);
    await reconcile(other);

    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.ended', endReason: 'deadline' });
  });

  test('tells a session that nobody used from one that was', async () => {
    const { broker, clock } = start();
    await openSession(broker);
    clock.pass(3601);

    await reconcile(broker);

    const view = await readSession(broker, ada, sessionId);
    expect(view).toMatchObject({ state: 'expired', endReason: 'unused' });
  });

  // Threat 23: every opened connection gets a close, even when its gateway was killed.
  test('closes the connections of a gateway that stopped renewing, once', async () => {
    const { broker, audit, clock } = await startConnection();
    await renewLeases(broker, gateway, { instance, connections });
    clock.pass(141);

    await Promise.all([reconcile(broker), reconcile(broker)]);
    await reconcile(broker);

    const closed = audit.entries.filter(({ type }) => type === 'connection.closed');
    expect(closed).toMatchObject([{ connection: nonce, reason: 'gateway-lost', ...carried }]);
  });

  test('leaves a gateway alone that renews its leases', async () => {
    const { broker, audit, clock } = await startConnection();
    clock.pass(130);
    await renewLeases(broker, gateway, { instance, connections });
    clock.pass(130);

    await reconcile(broker);

    expect(audit.entries.filter(({ type }) => type === 'connection.closed')).toEqual([]);
  });

  test('leaves no row behind of what has ended but the session and its history', async () => {
    const { broker, state, clock } = await startConnection();
    clock.pass(3601);

    await reconcile(broker);

    const kinds = state.rows().map(({ partition }) => partition.split('|')[0]);
    expect(new Set(kinds)).toEqual(new Set([sessionId, 'u', 'day', 'rd']));
  });
});
