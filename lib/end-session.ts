import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import { findConnections } from './find-connections.ts';
import { toNotFound } from './not-found.ts';
import { hasRole } from './role.ts';
import { toCallerPartition, toDueKey } from './session-index.ts';
import type { EndReason, SessionView } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession, hasEnded, replaceSession } from './session.ts';
import { sendSignal } from './signal.ts';
import { releaseSlot } from './slot.ts';
import { toSessionView } from './view-session.ts';

// Each try means that somebody else wrote the row in between, so a handful is plenty.
const maxTries = 10;

/**
 * Ends a session now and for good; its connections are cut within one lease. One that has ended already is returned as
 * it is. Absent and invisible sessions fail alike, with `not-found`.
 */
export async function terminateSession(
  broker: Broker,
  caller: Caller,
  id: string,
): Promise<SessionView> {
  const stored = await findSession(broker, id);
  const isMine = stored?.session.caller.id === caller.id;
  if (stored === undefined || !(isMine || hasRole(caller, 'Session.Terminate.All')))
    throw toNotFound();
  const { session } = stored;
  if (hasEnded(session)) return toSessionView(broker, session);
  // Whoever comes after the deadline ends nothing that had not ended.
  if (new Date(session.deadline) <= broker.now())
    return toSessionView(broker, await endOverdue(broker, session));
  const by: Actor = { id: caller.id, name: caller.name };
  const ended: AuditEvent = { type: 'session.ended', session: id, endReason: 'terminated', by };
  return toSessionView(broker, await endSession(broker, session, 'terminated', [ended]));
}

/** Ends a session whose deadline has passed, and returns it as it then is. One that nobody used has expired. */
export async function endOverdue(broker: Broker, session: Session): Promise<Session> {
  const { length } = await findConnections(broker, session.id, 1);
  const endReason = length === 0 ? 'unused' : 'deadline';
  const ended: AuditEvent = { type: 'session.ended', session: session.id, endReason };
  return endSession(broker, session, endReason, [ended]);
}

/** Records that a session ends, and carries it out: once recorded, whatever process dies, `reconcile` comes to its end. */
export async function endSession(
  broker: Broker,
  session: Session,
  endReason: EndReason,
  events: readonly AuditEvent[],
): Promise<Session> {
  await broker.audit.append(events);
  const order = toDueKey({ ...session, deadline: broker.now().toISOString() });
  await broker.state.put([{ ...order, values: { session: session.id, endReason } }]);
  const ended = await finishEnding(broker, session.id, endReason);
  await broker.state.remove(order.partition, order.row);
  return ended;
}

/** Carries out the end of a session that was recorded. Safe to repeat. */
export async function finishEnding(
  broker: Broker,
  id: string,
  endReason: EndReason,
): Promise<Session> {
  const ended = await markEnded(broker, id, endReason);
  const reason = endReason === 'policy' ? 'policy' : 'session-terminated';
  // At its deadline every gateway closes by itself.
  if (endReason === 'terminated' || endReason === 'policy')
    await sendSignal(broker, { order: 'close', session: id, reason });
  const due = toDueKey(ended);
  await releaseSlot(broker.state, toCallerPartition(ended.caller.id), ended.nonce);
  await broker.state.remove(due.partition, due.row);
  return ended;
}

async function markEnded(broker: Broker, id: string, endReason: EndReason): Promise<Session> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const stored = await findSession(broker, id);
    if (stored === undefined) throw toNotFound();
    const { session, etag } = stored;
    if (hasEnded(session)) return session;
    const state = endReason === 'unused' ? 'expired' : 'ended';
    const ended: Session = { ...session, state, endReason };
    if ((await replaceSession(broker, { session: ended, etag })) === 'replaced') return ended;
  }
  throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
}
