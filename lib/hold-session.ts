import { openApproval } from './approval.ts';
import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Grant } from './grant-session.ts';
import { storeRecorded, toDeadline, toRequested } from './grant-session.ts';
import type { ApprovalNeed } from './need.ts';
import type { Session } from './session.ts';

/** How long a request waits for approvers, in seconds: a working day, and not into the next. */
export const approvalSeconds = 8 * 3600;

/** How long it may take to make a session ready, in seconds. The slowest VMs take some minutes to start. */
export const preparingSeconds = 900;

/** Returns a session that waits for an approval of exactly this request. */
export function toPending(
  broker: Pick<Broker, 'newId'>,
  grant: Grant,
  needs: readonly ApprovalNeed[],
): Session {
  const session = toRequested(broker, grant);
  const { createdAt, wanted, input } = grant;
  const approval = openApproval('session', needs, toShown(session), {
    requestedAt: createdAt,
    seconds: approvalSeconds,
    durationSeconds: input.context.durationSeconds,
  });
  return {
    ...session,
    state: 'pendingApproval',
    deadline: toDeadline(createdAt, approvalSeconds),
    approval,
    preparation: { mayStart: wanted.start === true, nextStepAt: 0 },
  };
}

/** Returns a session whose target has to be started first. */
export function toPreparing(broker: Pick<Broker, 'newId'>, grant: Grant): Session {
  return {
    ...toRequested(broker, grant),
    state: 'preparing',
    deadline: toDeadline(grant.createdAt, preparingSeconds),
    preparation: { mayStart: true, nextStepAt: 0 },
  };
}

/** Stores a session that waits, and records it. Returns undefined when the id was taken meanwhile. */
export async function holdSession(
  broker: Broker,
  session: Session,
  events: readonly AuditEvent[],
): Promise<Session | undefined> {
  const waiting = session.state === 'pendingApproval' ? [toPendingEvent(session)] : [];
  const stored = await storeRecorded(broker, session, [...events, ...waiting]);
  return stored === 'inserted' ? session : undefined;
}

/** Returns the event that tells approvers of a request. */
export function toPendingEvent(
  session: Session,
  approval = session.approval,
): Extract<AuditEvent, { readonly type: 'session.pending' }> {
  if (approval === undefined) throw new Error('the session waits for no approval');
  const { kind, digest, needs, durationSeconds, expiresAt } = approval;
  const { id, caller, onBehalfOf, target, protocol, port, reason, change } = session;
  return {
    type: 'session.pending',
    kind,
    session: id,
    caller,
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    target,
    protocol,
    port,
    durationSeconds,
    ...(reason === undefined ? {} : { reason }),
    ...(change === undefined ? {} : { change }),
    request: digest,
    needs,
    expiresAt,
  };
}

/** Returns all of a session that an approver is shown, and approves. */
export function toShown(
  session: Omit<Session, 'state' | 'deadline'>,
): Readonly<Record<string, unknown>> {
  const { id, caller, onBehalfOf, target, protocol, port, reason, change, terms } = session;
  return {
    session: id,
    caller,
    onBehalfOf: onBehalfOf ?? null,
    target,
    protocol,
    port,
    reason: reason ?? null,
    change: change ?? null,
    terms,
  };
}
