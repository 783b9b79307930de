import type { Approval } from './approval.ts';
import { toEtag } from './approval.ts';
import type { Broker } from './broker.ts';
import { findConnections } from './find-connections.ts';
import type { SessionView } from './session-view.ts';
import type { Session } from './session.ts';

// One page of a table, and what a caller can still read.
const mostRead = 1000;
const mostShown = 200;

/** Returns the session as its caller may see it: without the host of the target and without the policy input. */
export function toSessionView(broker: Pick<Broker, 'gateway'>, session: Session): SessionView {
  const { id, state, endReason, caller, target, protocol, port, reason, change } = session;
  const { onBehalfOf, delegation } = session;
  const progress = findProgress(session);
  return {
    id,
    state,
    ...(endReason === undefined ? {} : { endReason }),
    caller,
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(delegation === undefined ? {} : { delegation: delegation.id }),
    target,
    protocol,
    port,
    ...(reason === undefined ? {} : { reason }),
    ...(change === undefined ? {} : { change }),
    createdAt: session.createdAt,
    ...(session.startedAt === undefined ? {} : { startedAt: session.startedAt }),
    deadline: session.deadline,
    terms: session.terms,
    ...(session.approval === undefined ? {} : { approval: toApprovalView(session.approval) }),
    ...(session.extension === undefined ? {} : { extension: toApprovalView(session.extension) }),
    ...(progress === undefined ? {} : { progress }),
    decision: { policies: session.policies, digest: session.digest },
    endpoint: toEndpoint(broker.gateway.url),
  };
}

/** Returns what the session waits for; undefined when it waits for nothing. */
export function findProgress({ state, preparation }: Session): SessionView['progress'] {
  if (state === 'pendingApproval') return 'approval';
  if (state !== 'preparing') return undefined;
  return preparation?.probedAt === undefined ? 'starting' : 'probing';
}

function toApprovalView(approval: Approval): NonNullable<SessionView['approval']> {
  const { digest: _digest, requestedAt: _requestedAt, votes, ...shown } = approval;
  const views = votes.map(({ groups: _groups, ...vote }) => vote);
  return { ...shown, etag: toEtag(approval), votes: views };
}

/** Returns the URL where a ticket for the raw tunnel is presented. */
export function toEndpoint(gateway: URL): string {
  return new URL('/connect', gateway).href;
}

/** Returns the session with its connections, oldest first; of very many, the latest of the first thousand found. */
export async function viewConnections(broker: Broker, session: Session): Promise<SessionView> {
  const found = await findConnections(broker, session.id, mostRead);
  const connections = found
    .map(({ gateway: _gateway, instance: _instance, ...view }) => view)
    .toSorted((a, b) => a.openedAt.localeCompare(b.openedAt))
    .slice(-mostShown);
  return { ...toSessionView(broker, session), connections };
}
