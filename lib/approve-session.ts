import type { Approval, Vote } from './approval.ts';
import { addVote, findLacking, isWaiting, toEtag } from './approval.ts';
import type { ApprovalRequest } from './approval-view.ts';
import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { carryOut, countVote } from './count-vote.ts';
import { readGroups } from './decide.ts';
import type { FailureCode } from './failure.ts';
import { BrokerError } from './failure.ts';
import type { Lock } from './lock.ts';
import { readLocks, requireUnlocked } from './lock.ts';
import { toNotFound } from './not-found.ts';
import { findRelation, isSamePerson } from './relation.ts';
import { requireRole } from './role.ts';
import type { SessionView } from './session-view.ts';
import type { Session, StoredSession } from './session.ts';
import { findSession, hasEnded, isOfCaller } from './session.ts';
import { toSessionView } from './view-session.ts';

// Each try means that another approver wrote the row in between.
const maxTries = 20;

/** A decision of an approver, and the request that they have read. */
export type Judgement = ApprovalRequest & { readonly ifMatch?: string };

/**
 * Counts one approver's decision about exactly the request that `ifMatch` names, once. A denial is final; the last
 * approval that was needed makes the session ready, after policy has decided again. A repetition carries out what the
 * first call has left. Absent sessions and those that are not the caller's to decide fail alike, with `not-found`; one's
 * own with `approval-own`.
 */
export async function decideApproval(
  broker: Broker,
  caller: Caller,
  id: string,
  judgement: Judgement,
): Promise<SessionView> {
  requireRole(caller, 'Approval.Decide');
  const memberships = new Set(readGroups(caller).map((group) => group.toLowerCase()));
  const [stored, locks] = await withinCallerBudget(broker, caller, async () =>
    Promise.all([findSession(broker, id), readLocks(broker)]),
  );
  const first = await readBallot(broker, caller, stored, memberships);
  await refuseLocked(broker, first, locks);
  if (hasVoted(broker, first, judgement))
    return toSessionView(broker, await carryOut(broker, first.stored.session));
  requireMatch(first.approval, judgement);
  const vote = toVote(broker, caller, judgement);
  await recordVote(broker, first, vote);
  const counted = await recordRefusal(broker, first, async () =>
    castVote(broker, first, vote, memberships),
  );
  return toSessionView(broker, await carryOut(broker, counted));
}

/** What an approver decides about, as it is stored now, and in which of the groups that must approve they are. */
type Ballot = {
  readonly stored: StoredSession;
  readonly approval: Approval;
  readonly caller: Caller;
  readonly groups: string[];
};

/** Returns what the caller may decide. Fails with `not-found` or `approval-own`. */
async function readBallot(
  broker: Broker,
  caller: Caller,
  stored: StoredSession | undefined,
  memberships: ReadonlySet<string>,
): Promise<Ballot> {
  const { session } = stored ?? {};
  const approval = session?.extension ?? session?.approval;
  if (stored === undefined || approval === undefined) throw toNotFound();
  const groups = approval.needs.flatMap(({ group }) => (memberships.has(group) ? [group] : []));
  // Who asked knows of the request; of others, those who may decide.
  if (!isOfCaller(stored.session, caller) && groups.length === 0) throw toNotFound();
  await refuseRelated(broker, stored.session, caller);
  return { stored, approval, caller, groups };
}

/** Writes the vote, again where other approvers write at the same time, until it counts or nothing is left to decide. */
async function castVote(
  broker: Broker,
  first: Ballot,
  vote: Omit<Vote, 'groups'>,
  memberships: ReadonlySet<string>,
): Promise<Session> {
  const { caller } = first;
  let ballot = first;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const { stored, approval, groups } = ballot;
    const counted = await countVote(broker, stored, addVote(approval, { ...vote, groups }));
    if (counted !== undefined) return counted;
    const again = await findSession(broker, stored.session.id);
    ballot = await readBallot(broker, caller, again, memberships);
    if (hasVoted(broker, ballot, vote)) return ballot.stored.session;
    if (ballot.approval.digest !== approval.digest) throw toOther();
  }
  throw new BrokerError('session-changed', 'The request has changed meanwhile. Try again.');
}

// After an outage it is not known whether the vote counts, and it must not be said that it does not.
const doubtfulCodes: ReadonlySet<FailureCode> = new Set(['state-unavailable', 'audit-unavailable']);

async function recordRefusal<T>(
  broker: Broker,
  { stored, caller }: Ballot,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (failure instanceof BrokerError && !doubtfulCodes.has(failure.code))
      await broker.audit.append([toRefused(stored.session.id, caller, failure.code)]);
    throw failure;
  }
}

// Whose account is locked decides nothing, about whatever target: it may be in other hands.
async function refuseLocked(broker: Broker, ballot: Ballot, locks: readonly Lock[]): Promise<void> {
  const { id, app } = ballot.caller;
  const own = locks.filter(({ kind }) => kind === 'caller' || kind === 'app');
  const facts = { caller: id, app, target: '', subscription: '', session: '', gateway: '' };
  await recordRefusal(broker, ballot, async () => requireUnlocked(own, facts));
}

async function refuseRelated(broker: Broker, session: Session, caller: Caller): Promise<void> {
  const relation = findRelation(broker.kinship, session.input, caller);
  if (relation === undefined) return;
  await broker.audit.append([{ ...toRefused(session.id, caller, 'approval-own'), relation }]);
  throw new BrokerError(
    'approval-own',
    'Nobody approves what they ask for themselves, by whatever account or app. Ask another approver.',
  );
}

/** Whether the approver has said the same before. Fails with `approval-closed` when they, or all, have decided otherwise. */
function hasVoted(
  broker: Broker,
  { stored: { session }, approval, caller, groups }: Ballot,
  { decision }: Pick<Vote, 'decision'>,
): boolean {
  const { samePerson } = broker.kinship;
  const own = approval.votes.find(({ by }) => isSamePerson(samePerson, by.id, caller.id));
  if (own?.by.id === caller.id && own.decision === decision) return true;
  if (own !== undefined)
    throw new BrokerError('approval-closed', 'You have decided about this request already.');
  if (hasEnded(session) || !isWaiting(approval, broker.now()))
    throw new BrokerError('approval-closed', 'The request has been decided, or has expired.');
  if (decision === 'approve' && !findLacking(approval).some((group) => groups.includes(group)))
    throw new BrokerError('approval-closed', 'Enough members of your group have approved already.');
  return false;
}

function requireMatch(approval: Approval, { ifMatch }: Judgement): void {
  if (ifMatch === undefined)
    throw new BrokerError(
      'precondition-required',
      'Send If-Match with the etag of the request that you have read.',
    );
  if (ifMatch !== toEtag(approval)) throw toOther();
}

function toOther(): BrokerError {
  const sentence = 'The request is another one by now. Read it again, then decide.';
  return new BrokerError('request-changed', sentence);
}

function toVote(
  broker: Broker,
  caller: Caller,
  { decision, durationSeconds, note }: Judgement,
): Omit<Vote, 'groups'> {
  return {
    by: toActor(caller),
    decision,
    at: broker.now().toISOString(),
    ...(durationSeconds === undefined ? {} : { durationSeconds }),
    ...(note === undefined ? {} : { note }),
  };
}

// Before its effect. One that another decision outran is in the log all the same, and that it did not count.
async function recordVote(
  broker: Broker,
  { stored, approval: { digest: request } }: Ballot,
  { at: _at, ...vote }: Omit<Vote, 'groups'>,
): Promise<void> {
  const session = stored.session.id;
  await broker.audit.append([{ type: 'approval.decided', session, request, ...vote }]);
}

function toRefused(
  session: string,
  caller: Caller,
  code: FailureCode,
): Extract<AuditEvent, { readonly type: 'approval.refused' }> {
  return { type: 'approval.refused', session, by: toActor(caller), code };
}

function toActor({ id, name }: Caller): Actor {
  return { id, name };
}
