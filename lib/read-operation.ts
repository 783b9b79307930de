import type { Approval } from './approval.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { toNotFound } from './not-found.ts';
import type { OperationView } from './operation-view.ts';
import { prepareSession } from './prepare-session.ts';
import { hasRole } from './role.ts';
import type { Session } from './session.ts';
import { findSession, hasEnded, isOfCaller } from './session.ts';
import { findProgress } from './view-session.ts';

type Status = Pick<OperationView, 'status' | 'error'>;

/** What the operation is about: the session itself, or its extension. */
export type OperationReference = { readonly session: string; readonly isExtension: boolean };

/**
 * Returns the status monitor of a session or of its extension, to whoever may read the session. A session that is being
 * made ready takes its next step when it is asked about, so that nothing runs where nobody waits.
 */
export async function readOperation(
  broker: Broker,
  caller: Caller,
  { session: id, isExtension }: OperationReference,
): Promise<OperationView> {
  const stored = await findSession(broker, id);
  const isMine = stored !== undefined && isOfCaller(stored.session, caller);
  if (stored === undefined || !(isMine || hasRole(caller, 'Session.Read.All'))) throw toNotFound();
  const session = await stepOn(broker, stored.session);
  const resourceLocation = new URL(`/api/sessions/${id}`, broker.url).href;
  if (isExtension) {
    const { extension } = session;
    if (extension === undefined) throw toNotFound();
    const status = toExtensionStatus(session, extension);
    const progress = status.status === 'Running' ? { progress: 'approval' as const } : {};
    const createdAt = extension.requestedAt;
    return { id: `${id}.extension`, ...status, createdAt, ...progress, resourceLocation };
  }
  const progress = findProgress(session);
  return {
    id,
    ...toStatus(session),
    createdAt: session.createdAt,
    ...(progress === undefined ? {} : { progress }),
    resourceLocation,
  };
}

async function stepOn(broker: Broker, session: Session): Promise<Session> {
  if (session.state !== 'preparing') return session;
  return (await prepareSession(broker, session.id)) ?? session;
}

function toStatus(session: Session): Status {
  const { endReason, startedAt } = session;
  if (hasEnded(session)) {
    // What was ready once was made ready, whatever became of it.
    if (startedAt !== undefined || isUsed(endReason)) return { status: 'Succeeded' };
    if (endReason === 'terminated') return { status: 'Canceled' };
    return { status: 'Failed', error: toError(endReason) };
  }
  return { status: findProgress(session) === undefined ? 'Succeeded' : 'Running' };
}

// Of a session that was ready at once nothing else says so.
function isUsed(endReason: Session['endReason']): boolean {
  return endReason === 'deadline' || endReason === 'unused';
}

function toExtensionStatus(session: Session, { outcome, votes }: Approval): Status {
  if (outcome === 'approved') return { status: 'Succeeded' };
  if (outcome === 'denied') {
    const isByApprover = votes.some(({ decision }) => decision === 'deny');
    return { status: 'Failed', error: toError(isByApprover ? 'denied' : 'policy') };
  }
  if (outcome === 'expired' || hasEnded(session))
    return { status: 'Failed', error: toError('unapproved') };
  return { status: 'Running' };
}

const messages: Partial<Record<NonNullable<Session['endReason']>, string>> = {
  denied: 'An approver has denied the request.',
  unapproved: 'Not enough approvers have decided in time. Ask again.',
  policy: 'Policy no longer permits the session.',
  locked: 'A lock forbids the session.',
  'target-changed': 'The target is not what it was when the session was asked for. Ask again.',
  'start-failed': 'The target could not be started in time. Ask again.',
  'delegation-revoked': 'The delegation has been revoked. Ask for another one.',
  unreachable: 'The target did not become reachable in time. Start it, then ask again.',
};

function toError(reason: Session['endReason'] = 'deadline'): {
  readonly code: string;
  readonly message: string;
} {
  return { code: reason, message: messages[reason] ?? 'The session has ended. Ask for a new one.' };
}
