import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { extendSession } from '../../lib/extend-session.ts';
import type { LockRequest } from '../../lib/lock.ts';
import { liftLock, listLocks, readLock, setLock } from '../../lib/manage-locks.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  gateway,
  grace,
  memoryAudit,
  testBroker,
  testClock,
  vm,
} from '../support/test-broker.ts';

const lockId = '10c40000-0000-4000-8000-000000000001';
const onAda: LockRequest = { kind: 'caller', value: ada.id, message: 'Account under review.' };
const carried = { bytesUp: 0, bytesDown: 0 };
const connections = [{ connection: nonce, session: sessionId, ...carried }];

const everyKind = [
  ['caller', ada.id],
  ['target', vm.id],
  ['subscription', vm.subscription],
  ['session', sessionId],
  ['app', ada.app],
  ['gateway', 'hub'],
] as const;

describe('a lock', () => {
  test('is recorded before it is in force', async () => {
    const audit = memoryAudit();

    await setLock(testBroker({ audit }), grace, lockId, onAda);

    expect(audit.entries).toMatchObject([
      { type: 'lock.set', lock: { id: lockId, ...onAda, setBy: { id: grace.id } } },
    ]);
  });

  test.each(everyKind)('on a %s refuses what is new', async (kind, value) => {
    const broker = testBroker();
    await setLock(broker, grace, lockId, { kind, value: value.toUpperCase(), message: 'No.' });

    const refusal = openSession(broker);

    await expect(refusal).rejects.toMatchObject({ code: 'locked', details: { advice: ['No.'] } });
  });

  test.each(everyKind)('on a %s cuts what is live at the next lease', async (kind, value) => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    await setLock(broker, grace, lockId, { kind, value, message: 'No.' });

    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });

    expect(verdicts).toEqual([{ connection: nonce, verdict: 'close', reason: 'locked' }]);
  });

  // Threat 21: whoever tries again and again gets nowhere.
  test('refuses tickets that were made before, tickets to come, and longer sessions', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    await setLock(broker, grace, lockId, onAda);

    const tries = [
      redeem(broker, ticket.ticket),
      createTicket(broker, ada, sessionId, { form: 'jwt' }),
      extendSession(broker, ada, sessionId, { durationSeconds: 7200 }),
    ];

    for (const refusal of tries) await expect(refusal).rejects.toMatchObject({ code: 'locked' });
  });

  test('leaves others alone', async () => {
    const broker = testBroker();
    await setLock(broker, grace, lockId, onAda);

    await expect(openSession(broker, { caller: grace })).resolves.toMatchObject({ state: 'ready' });
  });

  // Threat 13: a lock must not tell a locked target from an absent one to who may reach neither.
  test('on a target tells nothing to who may not reach it', async () => {
    const broker = testBroker();
    const eve = { ...ada, id: ada.id.replace('ada', 'eve') };
    await setLock(broker, grace, lockId, { kind: 'target', value: vm.id, message: 'No.' });

    await expect(openSession(broker, { caller: eve })).rejects.toMatchObject({
      code: 'access-denied',
    });
  });

  test('ends at its expiry', async () => {
    const clock = testClock();
    const broker = testBroker({ now: clock.now });
    const expiresAt = '2026-03-02T12:10:00Z';
    await setLock(broker, grace, lockId, { ...onAda, expiresAt });
    await expect(openSession(broker)).rejects.toMatchObject({ code: 'locked' });

    clock.pass(601);

    await expect(openSession(broker)).resolves.toMatchObject({ state: 'ready' });
  });

  test('is lifted for good, and its lifting recorded once', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ audit });
    await setLock(broker, grace, lockId, onAda);
    await liftLock(broker, grace, lockId);
    await liftLock(broker, grace, lockId);

    await expect(openSession(broker)).resolves.toMatchObject({ state: 'ready' });
    expect(audit.entries.filter(({ type }) => type === 'lock.lifted')).toHaveLength(1);
  });

  test('is set, read and lifted by who holds the role alone', async () => {
    const broker = testBroker();

    const tries = [
      setLock(broker, ada, lockId, onAda),
      readLock(broker, ada, lockId),
      listLocks(broker, ada),
      liftLock(broker, ada, lockId),
    ];

    for (const refusal of tries)
      await expect(refusal).rejects.toMatchObject({ code: 'role-missing' });
  });

  test('is shown to who may', async () => {
    const broker = testBroker();
    await setLock(broker, grace, lockId, onAda);

    expect(await readLock(broker, grace, lockId)).toMatchObject(onAda);
    expect(await listLocks(broker, grace)).toMatchObject([{ id: lockId }]);
    await expect(readLock(broker, grace, nonce)).rejects.toMatchObject({ code: 'not-found' });
  });
});
