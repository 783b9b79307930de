import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import type { Decision } from '../../lib/decision.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { reevaluate } from '../../lib/reevaluate.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { terminateSessions } from '../../lib/terminate-sessions.ts';
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
  testPolicy,
  testTargets,
  vm,
} from '../support/test-broker.ts';

const carried = { bytesUp: 0, bytesDown: 0 };
const connections = [{ connection: nonce, session: sessionId, ...carried }];

function start(changes: Parameters<typeof testBroker>[0] = {}) {
  const clock = testClock();
  const audit = memoryAudit();
  return { clock, audit, broker: testBroker({ now: clock.now, audit, ...changes }) };
}

describe('extendSession', () => {
  test('gives a later deadline, records it, and tells the gateway', async () => {
    const { broker, audit, clock } = start();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    clock.pass(1800);

    const { view } = await extendSession(broker, ada, sessionId, { durationSeconds: 3600 });
    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });

    expect(view.deadline).toBe('2026-03-02T13:30:00.000Z');
    expect(verdicts).toEqual([
      { connection: nonce, verdict: 'deadline', deadline: '2026-03-02T13:30:00.000Z' },
    ]);
    expect(audit.entries.slice(-2)).toMatchObject([
      { type: 'session.allowed', input: { context: { durationSeconds: 5400 } } },
      { type: 'session.extended', by: { id: ada.id }, deadline: view.deadline },
    ]);
  });

  test('keeps an extended session alive past its first deadline, and ends it at its second', async () => {
    const { broker, clock } = start();
    await openSession(broker);
    clock.pass(1800);
    await extendSession(broker, ada, sessionId, { durationSeconds: 3600 });
    clock.pass(1801);
    await reconcile(broker);
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ state: 'ready' });

    clock.pass(1800);
    await reconcile(broker);

    expect(await readSession(broker, ada, sessionId)).toMatchObject({ state: 'expired' });
  });

  // A chain of extensions must not outlast what one request may ask for.
  test('counts the term from the beginning of the session', async () => {
    const { broker, clock } = start({ policy: testPolicy({ maxDurationSeconds: 5400 }) });
    await openSession(broker);
    clock.pass(3000);

    const { view } = await extendSession(broker, ada, sessionId, { durationSeconds: 36_000 });

    expect(view.deadline).toBe('2026-03-02T13:30:00.000Z');
  });

  test('never shortens a session', async () => {
    const { broker } = start();
    const { deadline } = await openSession(broker);

    const { view } = await extendSession(broker, ada, sessionId, { durationSeconds: 60 });

    expect(view.deadline).toBe(deadline);
  });

  test('lets tickets of the session last as long as the session then does', async () => {
    const { broker, clock } = start();
    await openSession(broker);
    clock.pass(3590);
    await extendSession(broker, ada, sessionId, { durationSeconds: 3600 });
    clock.pass(30);

    await expect(createTicket(broker, ada, sessionId, { form: 'jwt' })).resolves.toMatchObject({
      form: 'jwt',
    });
  });

  test('refuses the session of somebody else, and one that has ended', async () => {
    const { broker, clock } = start();
    await openSession(broker);
    const wish = { durationSeconds: 3600 };

    await expect(extendSession(broker, eve, sessionId, wish)).rejects.toMatchObject({
      code: 'not-found',
    });
    clock.pass(3600);
    await expect(extendSession(broker, ada, sessionId, wish)).rejects.toMatchObject({
      code: 'session-ended',
    });
  });

  test('refuses when the target has become another one', async () => {
    const { broker } = start();
    await openSession(broker);
    const gone = { ...broker, targets: testTargets([]) };

    const refusal = extendSession(gone, ada, sessionId, { durationSeconds: 7200 });

    await expect(refusal).rejects.toMatchObject({ code: 'target-changed' });
  });

  test('records a denial before it refuses', async () => {
    const { broker, audit } = start();
    await openSession(broker);
    const denying = { ...broker, policy: { digest: 'n', decide: () => deny } };

    const refusal = extendSession(denying, ada, sessionId, { durationSeconds: 7200 });

    await expect(refusal).rejects.toMatchObject({ code: 'access-denied' });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.denied', digest: 'n' });
  });
});

const deny: Decision = { outcome: 'deny', policies: ['no'], digest: 'n', advice: [] };

describe('reevaluate', () => {
  // Threat 19: a right that was taken away must not live on in an open session.
  test('ends what a new policy set no longer permits, with a true reason', async () => {
    const { broker, audit } = start();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    expect(await reevaluate(broker)).toBe(0);
    const changed = { ...broker, policy: { digest: 'n', decide: () => deny } };

    const ended = await reevaluate(changed);
    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });

    expect(ended).toBe(1);
    expect(verdicts).toEqual([{ connection: nonce, verdict: 'close', reason: 'policy' }]);
    expect(audit.entries.slice(-2)).toMatchObject([
      { type: 'session.denied', policies: ['no'] },
      { type: 'session.ended', endReason: 'policy' },
    ]);
  });

  test('decides anew after five minutes, also when the set is the same', async () => {
    const { broker, clock } = start();
    let isOpen = true;
    const hours = { digest: 'h', decide: () => (isOpen ? allow : deny) };
    const timed = { ...broker, policy: hours };
    await openSession(timed);
    expect(await reevaluate(timed)).toBe(0);
    clock.pass(61);
    expect(await reevaluate(timed)).toBe(0);
    isOpen = false;

    clock.pass(299);
    expect(await reevaluate(timed)).toBe(0);
    clock.pass(2);

    expect(await reevaluate(timed)).toBe(1);
  });

  // Processes hear of a new set within seconds of each other, and the last may grant meanwhile.
  test('decides once more a minute after a new set, about what the old one has granted since', async () => {
    const { broker, clock } = start();
    const changed = { ...broker, policy: { digest: 'n', decide: () => deny } };
    await reevaluate(changed);
    await openSession(broker);

    clock.pass(59);
    expect(await reevaluate(changed)).toBe(0);
    clock.pass(1);

    expect(await reevaluate(changed)).toBe(1);
  });

  test('is done by one of several processes', async () => {
    const state = memoryTable();
    let decisions = 0;
    const policy = {
      digest: 'd',
      decide: () => {
        decisions += 1;
        return allow;
      },
    };
    const brokers = [1, 2, 3].map((id) => testBroker({ state, policy, newId: () => String(id) }));
    await openSession(testBroker({ state, policy }));
    decisions = 0;

    await Promise.all(brokers.map(reevaluate));

    expect(decisions).toBe(1);
  });
});

const allow: Decision = { outcome: 'allow', policies: ['yes'], digest: 'h', terms: {} };

describe('terminateSessions', () => {
  test('ends what meets the whole filter, and nothing else', async () => {
    const { broker } = start();
    const hers = await openSession(broker, { id: broker.newId() });
    const his = await openSession(broker, { id: broker.newId(), caller: grace });

    const answer = await terminateSessions(broker, grace, { caller: ada.id, target: vm.id });

    expect(answer).toEqual({ terminated: [hers.id], hasMore: false });
    expect(await readSession(broker, grace, his.id)).toMatchObject({ state: 'ready' });
  });

  test('ends a hundred at a time, and says that there are more', async () => {
    const limits = { ...testBroker().limits, sessionsPerCaller: 200 };
    const { broker } = start({ limits });
    for (let i = 0; i < 103; i += 1) await openSession(broker, { id: broker.newId() });

    const first = await terminateSessions(broker, grace, { caller: ada.id });
    const second = await terminateSessions(broker, grace, { caller: ada.id });

    expect([first.terminated.length, first.hasMore]).toEqual([100, true]);
    expect([second.terminated.length, second.hasMore]).toEqual([3, false]);
  });

  test('refuses who has not the role', async () => {
    const { broker } = start();

    await expect(terminateSessions(broker, ada, { caller: ada.id })).rejects.toMatchObject({
      code: 'role-missing',
    });
  });
});
