import { describe, expect, test } from 'vitest';
import { type Caller, roles } from '../../lib/caller.ts';
import { listApprovals } from '../../lib/list-approvals.ts';
import { findRelation, type Kinship, type Relation } from '../../lib/relation.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { toDecisionInput } from '../../lib/decide.ts';
import { approver, approvers, askFor, decide, startApproving } from '../support/approvals.ts';
import { bot } from '../support/delegations.ts';
import { sessionId, ssh } from '../support/sessions.ts';
import { ada, testClock, vm } from '../support/test-broker.ts';

// Who may approve everything, with every role there is.
const grace = approver('grace', { roles });
const linus = approver('linus', { roles });
const adaToo = approver('ada-admin', { roles });

/** A workload whose app has no owner among those who ask or approve here. */
const ci = { ...bot, app: 'CI' };

const kinship: Kinship = {
  samePerson: [
    [ada.id.toUpperCase(), adaToo.id],
    ['unrelated.one', grace.id],
  ],
  appOwners: { ci: ['tenant.margaret'], deploy: [grace.id], agent: [ada.id] },
};

/** The workload, as it acts for somebody. */
function actingFor({ id, issuer, app, name }: Caller): Caller {
  return { ...ci, onBehalfOf: { id, issuer, app, name, groups: [] } };
}

/** Who asks, who approves, and why that is refused: threat 17, and what is near it. */
const matrix: readonly (readonly [Relation, string, Caller, Caller])[] = [
  ['self', 'their own request', ada, { ...ada, roles, groups: [approvers] }],
  ['self', 'their own, in capitals', ada, { ...linus, id: ada.id.toUpperCase() }],
  ['same-person', 'that of their other account', ada, adaToo],
  ['same-person', 'that of their other account, the other way', { ...adaToo }, approver('ada')],
  ['delegation-giver', 'what a workload asks in their name', actingFor(grace), grace],
  ['delegation-giver', 'what it asks for their other account', actingFor(ada), adaToo],
  [
    'under-delegation',
    'with a token in another’s name',
    ada,
    { ...grace, onBehalfOf: { ...linus, groups: [] } },
  ],
  ['workload', 'as a workload', ada, { ...grace, kind: 'workload' }],
  ['owner-of-workload', 'what a workload of theirs asks', { ...ci, app: 'deploy' }, grace],
  [
    'owner-of-workload',
    'that, with it acting for another',
    { ...actingFor(ada), app: 'deploy' },
    grace,
  ],
  ['owner-unknown', 'what a workload of unknown owners asks', { ...ci, app: 'new' }, linus],
  ['same-app', 'through the app that asks', ci, { ...linus, app: 'ci' }],
  ['app-of-requester', 'through an app of who asks', ada, { ...linus, app: 'Agent' }],
  [
    'app-of-requester',
    'through an app of the person in whose name',
    actingFor(ada),
    { ...linus, app: 'agent' },
  ],
];

const allowed: readonly (readonly [string, Caller, Caller])[] = [
  ['a person’s request', ada, grace],
  ['a workload’s request', ci, grace],
  ['what a workload asks in the name of another', actingFor(ada), grace],
];

function start() {
  return startApproving(1, { kinship, now: testClock().now });
}

describe('an approver', () => {
  test.each(matrix)('is too close (%s) to approve %s', (relation, _what, requester, who) => {
    const now = new Date('2026-03-02T12:00:00Z');
    const input = toDecisionInput(requester, vm, { ...ssh, port: 22 }, { now });

    expect(findRelation(kinship, input, who)).toBe(relation);
  });

  // With every role, and in the group that must approve: nobody is exempt.
  test.each(matrix)(
    'is refused (%s) when they approve %s',
    async (relation, _what, caller, who) => {
      const { broker, audit } = start();
      const view = await askFor(broker, { caller });

      for (const decision of ['approve', 'deny'] as const)
        await expect(decide(broker, who, view, { decision })).rejects.toMatchObject({
          code: 'approval-own',
        });

      expect(audit.entries.at(-1)).toMatchObject({
        type: 'approval.refused',
        session: sessionId,
        by: { id: who.id },
        code: 'approval-own',
        relation,
      });
      expect(audit.entries.filter(({ type }) => type === 'approval.decided')).toEqual([]);
      expect(await readSession(broker, caller, sessionId)).toMatchObject({
        state: 'pendingApproval',
      });
      expect(await listApprovals(broker, who)).toEqual([]);
    },
  );

  test.each(allowed)(
    'may approve %s when they have nothing to do with it',
    async (_what, caller, who) => {
      const { broker } = start();
      const view = await askFor(broker, { caller });

      expect(await listApprovals(broker, who)).toHaveLength(1);
      expect(await decide(broker, who, view)).toMatchObject({ state: 'ready' });
    },
  );
});
