import type { Approval } from './approval.ts';
import { findLacking, isWaiting, toEtag } from './approval.ts';
import type { PendingView } from './approval-view.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { readGroups } from './decide.ts';
import { findRelation } from './relation.ts';
import { requireRole } from './role.ts';
import { pendingPartition } from './session-index.ts';
import type { Session } from './session.ts';
import { findSession, hasEnded } from './session.ts';

// More are shown once some are decided.
const mostShown = 500;

/** Returns what the caller may decide now, oldest first. Needs the role `Approval.Decide`, and costs a request of the budget. */
export async function listApprovals(
  broker: Broker,
  caller: Caller,
): Promise<readonly PendingView[]> {
  requireRole(caller, 'Approval.Decide');
  const groups = new Set(readGroups(caller).map((group) => group.toLowerCase()));
  const rows = await withinCallerBudget(broker, caller, async () =>
    broker.state.list(pendingPartition),
  );
  // Before the sessions are read: what others have to decide must neither cost anything nor hide what is below it.
  const asked = rows.filter(({ values }) =>
    String(values['groups'])
      .split(' ')
      .some((group) => groups.has(group)),
  );
  const found = await Promise.all(
    asked.slice(0, mostShown).map(async ({ values }) => ({
      stored: await findSession(broker, String(values['session'])),
      digest: String(values['digest']),
    })),
  );
  return found.flatMap(({ stored, digest }) => {
    if (stored === undefined || hasEnded(stored.session)) return [];
    const approval = findWaiting(broker, stored.session, digest);
    if (approval === undefined || !mayDecide(broker, stored.session, caller)) return [];
    const isAsked = findLacking(approval).some((group) => groups.has(group));
    const hasVoted = approval.votes.some(({ by }) => by.id === caller.id);
    return isAsked && !hasVoted ? [toPendingView(stored.session, approval)] : [];
  });
}

function findWaiting(
  broker: Broker,
  { approval, extension }: Session,
  digest: string,
): Approval | undefined {
  return [approval, extension].find(
    (one) => one?.digest === digest && isWaiting(one, broker.now()),
  );
}

function mayDecide(broker: Broker, { input }: Session, caller: Caller): boolean {
  return findRelation(broker.kinship, input, caller) === undefined;
}

function toPendingView(session: Session, approval: Approval): PendingView {
  const { id, caller, onBehalfOf, target, protocol, port, reason, change, terms } = session;
  const { kind, needs, durationSeconds, requestedAt, expiresAt } = approval;
  return {
    id,
    kind,
    etag: toEtag(approval),
    caller,
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    target,
    protocol,
    port,
    durationSeconds,
    ...(reason === undefined ? {} : { reason }),
    ...(change === undefined ? {} : { change }),
    requestedAt,
    expiresAt,
    terms,
    needs,
    votes: approval.votes.map(({ groups: _groups, ...vote }) => vote),
  };
}
