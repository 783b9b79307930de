import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { BrokerError } from '../../lib/failure.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { listApprovals } from '../../lib/list-approvals.ts';
import { readOperation } from '../../lib/read-operation.ts';
import { reconcile } from '../../lib/reconcile.ts';
import {
  askFor,
  approver,
  decide,
  grace,
  linus,
  startApproving,
  toTypes,
} from '../support/approvals.ts';
import { memoryTable } from '../support/memory-table.ts';
import { redeem, sessionId } from '../support/sessions.ts';
import { ada, testTargets } from '../support/test-broker.ts';

const operation = { session: sessionId, isExtension: false };

function toId(number: number): string {
  return `5e551000-0000-4000-8000-${String(number).padStart(12, '0')}`;
}

describe('a session that needs an approval', () => {
  test('waits, without a ticket, and says for whom', async () => {
    const { broker, audit } = startApproving(2);

    const view = await askFor(broker);

    expect(view).toMatchObject({
      state: 'pendingApproval',
      progress: 'approval',
      deadline: '2026-03-02T20:00:00.000Z',
      approval: { needs: [{ group: 'approvers', count: 2 }], votes: [] },
    });
    expect(view.ticket).toBeUndefined();
    expect(toTypes(audit.entries)).toEqual([
      'session.requested',
      'session.needs',
      'session.pending',
    ]);
  });

  test('is answered alike when it is asked for again, and takes one place', async () => {
    const { broker } = startApproving();
    const first = await askFor(broker);

    expect(await askFor(broker)).toEqual(first);
    await expect(askFor(broker, { durationSeconds: 60 })).rejects.toMatchObject({
      code: 'session-conflict',
    });
  });

  test('takes one of the places of its caller', async () => {
    const { broker } = startApproving();
    const limited = { ...broker, limits: { ...broker.limits, sessionsPerCaller: 1 } };
    await askFor(limited);

    await expect(
      askFor(limited, { id: '5e551000-0000-4000-8000-000000000002' }),
    ).rejects.toMatchObject({ code: 'session-limit' });
  });

  test('gives no ticket before it is approved', async () => {
    const { broker } = startApproving();
    await askFor(broker);

    await expect(createTicket(broker, ada, sessionId, { form: 'jwt' })).rejects.toMatchObject({
      code: 'session-waiting',
    });
  });

  test('is ready once approved: its time runs from then, and its ticket lets one in', async () => {
    const { broker, audit, clock } = startApproving();
    const view = await askFor(broker);
    clock.pass(600);

    const approved = await decide(broker, grace, view, { note: 'Go on.' });
    const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
    await redeem(broker, ticket);

    expect(approved).toMatchObject({
      state: 'ready',
      startedAt: '2026-03-02T12:10:00.000Z',
      deadline: '2026-03-02T13:10:00.000Z',
      approval: {
        outcome: 'approved',
        votes: [{ by: { id: grace.id, name: 'grace' }, decision: 'approve', note: 'Go on.' }],
      },
    });
    expect(toTypes(audit.entries).slice(3, 6)).toEqual([
      'approval.decided',
      'session.allowed',
      'session.ready',
    ]);
    expect(await listApprovals(broker, linus)).toEqual([]);
  });

  test('waits for its quorum, of different people', async () => {
    const { broker } = startApproving(2);
    const view = await askFor(broker);

    expect(await decide(broker, grace, view)).toMatchObject({ state: 'pendingApproval' });
    expect(await decide(broker, grace, view)).toMatchObject({ state: 'pendingApproval' });
    expect(await decide(broker, linus, view)).toMatchObject({ state: 'ready' });
  });

  test('takes two accounts of one person for one approver', async () => {
    const second = approver('grace-admin');
    const kinship = { samePerson: [[grace.id, second.id]], appOwners: {} };
    const { broker } = startApproving(2, { kinship });
    const view = await askFor(broker);
    await decide(broker, grace, view);

    await expect(decide(broker, second, view)).rejects.toMatchObject({ code: 'approval-closed' });
  });

  test('is granted for no longer than the approver says', async () => {
    const { broker } = startApproving(2);
    const view = await askFor(broker);
    await decide(broker, grace, view, { durationSeconds: 600 });

    const approved = await decide(broker, linus, view, { durationSeconds: 7200 });

    expect(approved.deadline).toBe('2026-03-02T12:10:00.000Z');
  });

  test('is over when one approver denies it', async () => {
    const { broker, audit } = startApproving(2);
    const view = await askFor(broker);
    await decide(broker, grace, view);

    const denied = await decide(broker, linus, view, { decision: 'deny', note: 'Not today.' });

    expect(denied).toMatchObject({ state: 'denied', endReason: 'denied' });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.ended', endReason: 'denied' });
    await expect(createTicket(broker, ada, sessionId, { form: 'jwt' })).rejects.toMatchObject({
      code: 'session-ended',
    });
    expect(await readOperation(broker, ada, operation)).toMatchObject({
      status: 'Failed',
      error: { code: 'denied' },
    });
  });

  test('expires when nobody decides, and gives its place back', async () => {
    const { broker, clock } = startApproving();
    const view = await askFor(broker);
    clock.pass(8 * 3600 + 1);

    await expect(decide(broker, grace, view)).rejects.toMatchObject({ code: 'approval-closed' });
    await reconcile(broker);

    expect(await readSession(broker, ada, sessionId)).toMatchObject({
      state: 'expired',
      endReason: 'unapproved',
      approval: { outcome: 'expired' },
    });
    expect(await readOperation(broker, ada, operation)).toMatchObject({ status: 'Failed' });
  });

  test('can be withdrawn by its caller, and then not be approved', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);

    await terminateSession(broker, ada, sessionId);

    await expect(decide(broker, grace, view)).rejects.toMatchObject({ code: 'approval-closed' });
    expect(await readOperation(broker, ada, operation)).toMatchObject({ status: 'Canceled' });
  });

  // The timer goes through so many at a time: what it cannot do anything about must not stand before what it can.
  test('is not in the list of those that are being made ready before it is approved', async () => {
    const state = memoryTable();
    const { broker } = startApproving(1, { state });
    const countPreparing = () =>
      state.rows().filter(({ partition }) => partition === 'preparing').length;
    const find = () => Promise.reject(new BrokerError('targets-unavailable', 'Try again.'));
    const view = await askFor(broker);

    expect(countPreparing()).toBe(0);
    await decide({ ...broker, targets: { ...testTargets(), find } }, grace, view);
    expect(countPreparing()).toBe(1);
  });

  test('is found by those who may decide however many others wait', async () => {
    const state = memoryTable();
    const { broker } = startApproving(1, { state });
    for (let i = 0; i < 600; i += 1) {
      const values = { session: toId(i), digest: 'x', groups: 'others' };
      await state.insert({ partition: 'pending', row: `0|${String(i)}`, values });
    }
    await askFor(broker);

    expect(await listApprovals(broker, grace)).toMatchObject([{ id: sessionId }]);
  });

  test('is listed within the budget of who asks', async () => {
    const { broker } = startApproving();
    const limits = { ...broker.limits, requestsPerCallerMinute: 1 };
    await listApprovals({ ...broker, limits }, grace);

    await expect(listApprovals({ ...broker, limits }, grace)).rejects.toMatchObject({
      code: 'rate-limited',
    });
  });

  test('leaves no row in a list once it has ended', async () => {
    const state = memoryTable();
    const { broker } = startApproving(1, { state });
    const view = await askFor(broker);
    await decide(broker, grace, view);
    await terminateSession(broker, ada, sessionId);

    const lists = state.rows().map(({ partition }) => partition.split('|')[0]);

    expect(lists).not.toContain('pending');
    expect(lists).not.toContain('preparing');
  });
});
