import type { AuditEvent } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import type { Judgement } from '../../lib/approve-session.ts';
import { decideApproval } from '../../lib/approve-session.ts';
import type { Decision, DecisionInput, Policy } from '../../lib/decision.ts';
import { findNeeds } from '../../lib/need.ts';
import type { Requested } from '../../lib/request-session.ts';
import { requestSession } from '../../lib/request-session.ts';
import type { SessionRequest } from '../../lib/session-request.ts';
import type { SessionView } from '../../lib/session-view.ts';
import type { Terms } from '../../lib/terms.ts';
import { sessionId, ssh } from './sessions.ts';
import { ada, eve, memoryAudit, testBroker, testClock } from './test-broker.ts';

/** The group whose members approve in these tests. */
export const approvers = 'approvers';

/** Returns a person who may approve. */
export function approver(name: string, changes: Partial<Caller> = {}): Caller {
  return {
    ...ada,
    id: ada.id.replace('ada', name),
    name,
    groups: [approvers],
    roles: ['Session.Request', 'Approval.Decide'],
    ...changes,
  };
}

export const grace = approver('grace');
export const linus = approver('linus');

/** A policy that allows everybody but eve, once the terms given are met. */
export function needingPolicy(terms: Terms): Policy {
  const decide = (input: DecisionInput): Decision => {
    const facts = { policies: ['everybody'], digest: 'test' };
    if (input.caller.id === eve.id) return { outcome: 'deny', ...facts, advice: [] };
    const needs = findNeeds(terms, input);
    return needs.length === 0
      ? { outcome: 'allow', ...facts, terms }
      : { outcome: 'needs', ...facts, terms, needs };
  };
  return { digest: 'test', decide };
}

/** A broker whose policy asks for so many approvals, with its clock and its audit log. */
export function startApproving(count = 1, changes: Partial<Broker> = {}) {
  const clock = testClock();
  const audit = memoryAudit();
  const policy = needingPolicy({ approval: { group: approvers, count } });
  const broker = testBroker({ now: clock.now, audit, policy, ...changes });
  return { broker, audit, clock };
}

/** Requests a session that waits. */
export async function askFor(
  broker: Broker,
  changes: Partial<SessionRequest> & { readonly id?: string; readonly caller?: Caller } = {},
): Promise<Requested['view']> {
  const { id = sessionId, caller = ada, ...wish } = changes;
  const { view } = await requestSession(broker, caller, { ...ssh, ...wish }, { id });
  return view;
}

/** Decides about what the session waits for, as its approval now stands. */
export async function decide(
  broker: Broker,
  who: Caller,
  view: SessionView,
  judgement: Partial<Judgement> = {},
): Promise<SessionView> {
  const { etag } = view.extension ?? view.approval ?? {};
  const ifMatch = etag === undefined ? {} : { ifMatch: etag };
  return decideApproval(broker, who, view.id, { decision: 'approve', ...ifMatch, ...judgement });
}

/** Returns the types of the entries, in order. */
export function toTypes(entries: readonly AuditEvent[]): readonly string[] {
  return entries.map(({ type }) => type);
}
