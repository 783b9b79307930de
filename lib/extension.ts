import { isWaiting, openApproval } from './approval.ts';
import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import { capDeadline, findAllowedSeconds } from './grant-session.ts';
import { approvalSeconds, toPendingEvent, toShown } from './hold-session.ts';
import type { ApprovalNeed } from './need.ts';
import { toPendingRow } from './session-index.ts';
import type { Session, StoredSession } from './session.ts';
import { findStartSeconds, replaceSession } from './session.ts';

export type Allowed = Extract<Decision, { readonly outcome: 'allow' }>;

/** Returns how long a session would last in all if it went on for so many seconds from now; capped. */
export function findTotalSeconds(
  broker: Pick<Broker, 'limits' | 'now'>,
  session: Session,
  durationSeconds: number,
): number {
  const passed = Math.floor(broker.now().getTime() / 1000) - findStartSeconds(session);
  return Math.min(passed + durationSeconds, broker.limits.maxSessionSeconds);
}

/** Returns the deadline that a decision about the whole time of a session allows. */
export function toLaterDeadline(
  broker: Pick<Broker, 'limits'>,
  session: Session,
  { input, decision }: { readonly input: DecisionInput; readonly decision: Allowed },
): string {
  const allowed = findAllowedSeconds(broker, input, decision.terms);
  const deadline = new Date((findStartSeconds(session) + allowed) * 1000).toISOString();
  return capDeadline(input, deadline);
}

type Asked = {
  readonly needs: readonly ApprovalNeed[];
  readonly durationSeconds: number;
  readonly input: DecisionInput;
  /** The decision, which is recorded first. */
  readonly event: AuditEvent;
};

/**
 * Stores the request for a later deadline with its session, where approvers find it. The same request again is the one
 * that waits; another one takes its place, and what was approved of the first is void.
 */
export async function holdExtension(
  broker: Broker,
  { session, etag }: StoredSession,
  { needs, durationSeconds, input, event }: Asked,
): Promise<Session> {
  const { extension } = session;
  if (extension !== undefined && isWaiting(extension, broker.now()))
    if (extension.durationSeconds === durationSeconds) return session;
  const requestedAt = broker.now();
  const left = Math.floor((new Date(session.deadline).getTime() - requestedAt.getTime()) / 1000);
  const approval = openApproval('extension', needs, toShown(session), {
    requestedAt,
    // A session that has ended is not extended.
    seconds: Math.min(approvalSeconds, left),
    durationSeconds,
  });
  const waiting = { ...session, extension: approval, extensionInput: input };
  await broker.audit.append([event, toPendingEvent(waiting, approval)]);
  await broker.state.insert(toPendingRow(waiting, approval));
  if ((await replaceSession(broker, { session: waiting, etag })) === 'changed')
    throw new BrokerError('session-changed', 'The session has changed meanwhile. Try again.');
  if (extension !== undefined) {
    const { partition, row } = toPendingRow(session, extension);
    await broker.state.remove(partition, row);
  }
  return waiting;
}
