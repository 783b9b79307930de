import { describe, expect, test } from 'vitest';
import { extendSession } from '../../lib/extend-session.ts';
import { listApprovals } from '../../lib/list-approvals.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { setLock } from '../../lib/manage-locks.ts';
import { readOperation } from '../../lib/read-operation.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import {
  approvers,
  askFor,
  decide,
  grace,
  linus,
  needingPolicy,
  startApproving,
  toTypes,
} from '../support/approvals.ts';
import type { Policy } from '../../lib/decision.ts';
import { instance, nonce, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway, grace as operator, testPolicy } from '../support/test-broker.ts';

const operation = { session: sessionId, isExtension: true };

/** Opens a session that was approved, with one connection, half an hour before its end. */
async function startExtending(count = 1) {
  const started = startApproving(count);
  const { broker, clock } = started;
  const view = await askFor(broker);
  await decide(broker, grace, view);
  if (1 < count) await decide(broker, linus, view);
  const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
  await redeem(broker, ticket);
  clock.pass(1800);
  const extend = async (durationSeconds = 3600) =>
    extendSession(broker, ada, sessionId, { durationSeconds });
  return { ...started, extend };
}

describe('an extension that needs an approval', () => {
  test('waits for one of its own, while the session goes on as it was', async () => {
    const { broker, extend } = await startExtending();

    const { view, isWaiting } = await extend();

    expect(isWaiting).toBe(true);
    expect(view).toMatchObject({
      state: 'active',
      deadline: '2026-03-02T13:00:00.000Z',
      extension: { kind: 'extension', durationSeconds: 3600, votes: [] },
    });
    expect(await listApprovals(broker, grace)).toMatchObject([
      { id: sessionId, kind: 'extension', etag: view.extension?.etag },
    ]);
    expect(await readOperation(broker, ada, operation)).toMatchObject({ status: 'Running' });
  });

  test('gives the later deadline once approved, and keeps the connection', async () => {
    const { broker, audit, extend } = await startExtending();
    const { view } = await extend();

    const extended = await decide(broker, grace, view);
    const connections = [{ connection: nonce, session: sessionId, bytesUp: 0, bytesDown: 0 }];
    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });

    expect(extended).toMatchObject({
      deadline: '2026-03-02T13:30:00.000Z',
      extension: { outcome: 'approved' },
    });
    expect(verdicts).toEqual([
      { connection: nonce, verdict: 'deadline', deadline: '2026-03-02T13:30:00.000Z' },
    ]);
    expect(toTypes(audit.entries).slice(-3)).toEqual([
      'approval.decided',
      'session.allowed',
      'session.extended',
    ]);
    expect(await readOperation(broker, ada, operation)).toMatchObject({ status: 'Succeeded' });
    expect(await listApprovals(broker, linus)).toEqual([]);
  });

  test('is given for no longer than the approver says', async () => {
    const { broker, extend } = await startExtending();
    const { view } = await extend();

    const extended = await decide(broker, grace, view, { durationSeconds: 2400 });

    expect(extended.deadline).toBe('2026-03-02T13:10:00.000Z');
  });

  test('leaves the session as it was when it is denied', async () => {
    const { broker, extend } = await startExtending();
    const { view } = await extend();

    const denied = await decide(broker, grace, view, { decision: 'deny' });

    expect(denied).toMatchObject({
      state: 'active',
      deadline: '2026-03-02T13:00:00.000Z',
      extension: { outcome: 'denied' },
    });
    expect(await readOperation(broker, ada, operation)).toMatchObject({
      status: 'Failed',
      error: { code: 'denied' },
    });
  });

  test('is the one that waits when it is asked for again, and another one for another time', async () => {
    const { broker, extend } = await startExtending();
    const { view: first } = await extend();
    const { view: again } = await extend();
    const { view: other } = await extend(7200);

    expect(again.extension?.etag).toBe(first.extension?.etag);
    await expect(decide(broker, grace, first)).rejects.toMatchObject({ code: 'request-changed' });
    expect(await listApprovals(broker, grace)).toMatchObject([{ etag: other.extension?.etag }]);
  });

  // The quorum of the session was for the session as it was asked for.
  test('does not count the approvals of the session', async () => {
    const { broker, extend } = await startExtending(2);
    const { view } = await extend();

    expect(await decide(broker, grace, view)).toMatchObject({
      deadline: '2026-03-02T13:00:00.000Z',
    });
    expect(await decide(broker, linus, view)).toMatchObject({
      deadline: '2026-03-02T13:30:00.000Z',
    });
  });

  test('is denied when policy does not permit it any more', async () => {
    const { broker, audit, extend } = await startExtending();
    const { view } = await extend();
    const denial = { outcome: 'deny', policies: ['closed'], digest: 'x', advice: [] } as const;

    const closed = { ...broker, policy: { ...testPolicy(), decide: () => denial } };

    expect(await decide(closed, grace, view)).toMatchObject({
      deadline: '2026-03-02T13:00:00.000Z',
      extension: { outcome: 'denied' },
    });
    expect(toTypes(audit.entries).at(-1)).toBe('session.denied');
    expect(await readOperation(broker, ada, operation)).toMatchObject({
      status: 'Failed',
      error: { code: 'policy' },
    });
  });

  test('is not given under a lock', async () => {
    const { broker, extend } = await startExtending();
    const { view } = await extend();
    const lock = { kind: 'caller', value: ada.id, message: 'Wait.' } as const;
    await setLock(broker, operator, '10c00000-0000-4000-8000-000000000001', lock);

    await expect(decide(broker, grace, view)).rejects.toMatchObject({ code: 'locked' });
    expect(await readSession(broker, ada, sessionId)).toMatchObject({
      deadline: '2026-03-02T13:00:00.000Z',
    });
  });

  test('is decided on what was known of the caller when they asked for it', async () => {
    const group = { group: approvers, count: 1 };
    const forGroup = testPolicy({ maxDurationSeconds: 28_800 });
    const forOthers = needingPolicy({ maxDurationSeconds: 5400, approval: group });
    const decideAll: Policy['decide'] = (input) =>
      (input.caller.groups.includes('on-call') ? forGroup : forOthers).decide(input);
    const { broker, clock } = startApproving(1, { policy: { digest: 'test', decide: decideAll } });
    await askFor(broker, { caller: { ...ada, groups: ['on-call'] } });
    clock.pass(1800);
    const { view } = await extendSession(broker, ada, sessionId, { durationSeconds: 7200 });

    const extended = await decide(broker, grace, view);

    expect(extended.deadline).toBe('2026-03-02T13:30:00.000Z');
  });

  // The process that stored the deadline may have died before it told the gateways.
  test('is told to the gateways again when the last approver repeats themselves', async () => {
    const { broker, extend } = await startExtending();
    const { view } = await extend();
    await decide(broker, grace, view);
    const connections = [{ connection: nonce, session: sessionId, bytesUp: 0, bytesDown: 0 }];
    const { cursor } = await renewLeases(broker, gateway, { instance, connections });
    const later = { ...broker, now: () => new Date('2026-03-02T12:40:00Z') };

    await decide(later, grace, view);

    const lease = { instance, connections, cursor };
    expect((await renewLeases(later, gateway, lease)).verdicts).toMatchObject([
      { verdict: 'deadline', deadline: '2026-03-02T13:30:00.000Z' },
    ]);
  });

  test('cannot be approved once the session has ended', async () => {
    const { broker, clock, extend } = await startExtending();
    const { view } = await extend();
    clock.pass(1801);

    await expect(decide(broker, grace, view)).rejects.toMatchObject({ code: 'approval-closed' });
  });
});
