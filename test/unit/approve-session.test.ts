import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import type { Policy } from '../../lib/decision.ts';
import { BrokerError } from '../../lib/failure.ts';
import { listApprovals } from '../../lib/list-approvals.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { setLock } from '../../lib/manage-locks.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { askFor, approver, decide, grace, startApproving, toTypes } from '../support/approvals.ts';
import { memoryTable } from '../support/memory-table.ts';
import { openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  eve,
  grace as operator,
  testPolicy,
  testTargets,
  vm,
} from '../support/test-broker.ts';

describe('an approval', () => {
  test('is of exactly the request that was read', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);
    const { approval: other } = await askFor(broker, {
      id: '5e551000-0000-4000-8000-000000000002',
      durationSeconds: 60,
    });

    await expect(decide(broker, grace, view, { ifMatch: other?.etag ?? '' })).rejects.toMatchObject(
      { code: 'request-changed' },
    );
    await expect(decide(broker, grace, view, { ifMatch: '*' })).rejects.toMatchObject({
      code: 'request-changed',
    });
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ state: 'pendingApproval' });
  });

  test('needs If-Match', async () => {
    const { broker } = startApproving();
    const { approval: _, ...view } = await askFor(broker);

    await expect(decide(broker, grace, view)).rejects.toMatchObject({
      code: 'precondition-required',
    });
  });

  test.each([
    ['who are in no group that must approve', approver('mallory', { groups: ['others'] })],
    ['who do not know of it', eve],
  ])('is refused to those %s as if there were no request', async (_who, caller) => {
    const { broker } = startApproving();
    const view = await askFor(broker);
    const refused = decide(broker, { ...caller, roles: ['Approval.Decide'] }, view);

    await expect(refused).rejects.toMatchObject({ code: 'not-found' });
  });

  test('needs the role', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);

    await expect(decide(broker, { ...grace, roles: [] }, view)).rejects.toMatchObject({
      code: 'role-missing',
    });
  });

  // Group overage hides groups, and with them whether the caller may approve.
  test('is refused when the groups of the approver are not known', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);

    await expect(decide(broker, { ...grace, groups: 'unknown' }, view)).rejects.toMatchObject({
      code: 'groups-unknown',
    });
  });

  test('is recorded before it counts', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);
    const audit = { append: () => Promise.reject(new Error('the table is down')) };

    await expect(decide({ ...broker, audit }, grace, view)).rejects.toThrow('the table is down');
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ approval: { votes: [] } });
  });

  test('does not count twice when it is repeated, and cannot be taken back', async () => {
    const { broker } = startApproving(2);
    const view = await askFor(broker);
    await decide(broker, grace, view);

    expect((await decide(broker, grace, view)).approval?.votes).toHaveLength(1);
    await expect(decide(broker, grace, view, { decision: 'deny' })).rejects.toMatchObject({
      code: 'approval-closed',
    });
  });

  // Threat 18: whatever order the writes come in, one state is final, and it is one that somebody decided.
  test.each([1, 2, 3])('leaves one final state of 50 at once that need %i', async (count) => {
    const table = memoryTable(turn);
    const { broker, audit } = startApproving(count, { state: table });
    const view = await askFor(broker);

    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, async (_, i) =>
        decide(broker, approver(`approver-${String(i)}`), view, {
          decision: i % 7 === 3 ? 'deny' : 'approve',
        }),
      ),
    );

    const { state, approval } = await readSession(broker, ada, sessionId);
    const isDenied = approval?.votes.some(({ decision }) => decision === 'deny') === true;
    expect(approval?.outcome).toBe(isDenied ? 'denied' : 'approved');
    expect(state).toBe(isDenied ? 'denied' : 'ready');
    const counted = outcomes.filter(({ status }) => status === 'fulfilled');
    expect(approval?.votes).toHaveLength(counted.length);
    if (!isDenied) expect(counted).toHaveLength(count);
    const refused = audit.entries.filter(({ type }) => type === 'approval.refused');
    const recorded = audit.entries.filter(({ type }) => type === 'approval.decided');
    expect(recorded.length - refused.length).toBe(counted.length);
  });

  test('does not open what policy no longer permits', async () => {
    const { broker, audit } = startApproving();
    const view = await askFor(broker);
    const policy = { ...testPolicy(), decide: () => denial };

    const ended = await decide({ ...broker, policy }, grace, view);

    expect(ended).toMatchObject({ state: 'failed', endReason: 'policy' });
    expect(toTypes(audit.entries).slice(-3)).toEqual([
      'approval.decided',
      'session.denied',
      'session.ended',
    ]);
  });

  // Threat 11: an approval is of this VM, not of its name.
  test('is void when the target is another one by then', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);
    const targets = testTargets([{ ...vm, id: '22222222-2222-4222-8222-222222222222' }]);

    expect(await decide({ ...broker, targets }, grace, view)).toMatchObject({
      state: 'failed',
      endReason: 'target-changed',
    });
  });

  test('does not pass a lock', async () => {
    const { broker } = startApproving();
    const view = await askFor(broker);
    const lock = { kind: 'caller', value: ada.id, message: 'Wait.' } as const;
    await setLock(broker, operator, '10c00000-0000-4000-8000-000000000001', lock);

    expect(await decide(broker, grace, view)).toMatchObject({
      state: 'failed',
      endReason: 'locked',
    });
  });

  // The account of an approver that is in other hands must not let anybody in.
  test.each([
    ['account', 'caller', grace.id],
    ['app', 'app', 'portal'],
  ] as const)('is refused to an approver whose %s is locked', async (_what, kind, value) => {
    const { broker, audit } = startApproving();
    const view = await askFor(broker);
    const lock = { kind, value, message: 'Stolen.' };
    await setLock(broker, operator, '10c00000-0000-4000-8000-000000000001', lock);

    await expect(decide(broker, grace, view)).rejects.toMatchObject({ code: 'locked' });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'approval.refused', code: 'locked' });
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ approval: { votes: [] } });
  });

  // Otherwise a group of hundreds could fill the row of a request that waits for another group.
  test('is refused where enough members of the group have approved, and a denial is not', async () => {
    const needs = ['dev', 'ops'].map((group) => ({ kind: 'approval' as const, group, count: 1 }));
    const facts = { policies: ['both'], digest: 'test', terms: {} };
    const policy: Policy = {
      digest: 'test',
      decide: () => ({ outcome: 'needs', ...facts, needs }),
    };
    const { broker } = startApproving(1, { policy });
    const view = await askFor(broker);
    const [first, second] = ['a', 'b'].map((name) => approver(name, { groups: ['dev'] }));
    if (first === undefined || second === undefined) throw new Error('there are two');
    await decide(broker, first, view);

    await expect(decide(broker, second, view)).rejects.toMatchObject({ code: 'approval-closed' });
    expect(await listApprovals(broker, second)).toEqual([]);
    expect(await decide(broker, second, view, { decision: 'deny' })).toMatchObject({
      state: 'denied',
    });
  });

  test('is stored however long the facts and the notes are', async () => {
    const tags = Object.fromEntries(
      Array.from({ length: 45 }, (_, i) => [`tag-${String(i)}`.padEnd(250, 'x'), 'y'.repeat(250)]),
    );
    const { broker } = startApproving(9, { targets: testTargets([{ ...vm, tags }]) });
    const view = await askFor(broker);
    const note = '"'.repeat(500);

    for (let i = 0; i < 9; i += 1)
      await decide(broker, approver(`approver-${String(i)}`), view, { note });

    expect(await readSession(broker, ada, sessionId)).toMatchObject({ state: 'ready' });
  });

  test('is kept while the source of targets is away, and the session is made ready later', async () => {
    const { broker, clock } = startApproving();
    const view = await askFor(broker);
    const targets = {
      ...testTargets(),
      find: () => Promise.reject(new BrokerError('targets-unavailable', 'Try again.')),
    };

    const waiting = await decide({ ...broker, targets }, grace, view);
    clock.pass(30);
    await reconcile(broker);

    expect(waiting).toMatchObject({ state: 'preparing', approval: { outcome: 'approved' } });
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ state: 'ready' });
  });

  test('counts at every later decision about the session, and for no other session', async () => {
    const { broker } = startApproving();
    await decide(broker, grace, await askFor(broker));
    const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
    await expect(redeem(broker, ticket)).resolves.toMatchObject({ session: sessionId });

    await expect(
      openSession(broker, { id: '5e551000-0000-4000-8000-000000000002' }),
    ).rejects.toThrow('the session has no ticket');
  });
});

const denial = { outcome: 'deny', policies: ['closed'], digest: 'test', advice: [] } as const;

/** Lets others go first, and lets the call succeed. */
async function turn(): Promise<undefined> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  return undefined;
}
