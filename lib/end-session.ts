import type { Actor } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { toNotFound } from './not-found.ts';
import { BrokerError } from './failure.ts';
import { hasRole } from './role.ts';
import { toCallerPartition, toDueKey } from './session-index.ts';
import type { EndReason, SessionView } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession, replaceSession } from './session.ts';
import { sendSignal } from './signal.ts';
import { releaseSlot } from './slot.ts';
import { viewConnections } from './view-session.ts';

// Each try means that somebody else wrote the row in between, so a handful is plenty.
const maxTries = 10;

/**
 * Ends a session now and for good; its connections are cut within one lease. One that has ended already is returned as
 * it is, and its gateways are told again. Absent and invisible sessions fail alike, with `not-found`.
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
  const hasEnded = session.state === 'ended' || session.state === 'expired';
  if (!hasEnded) {
    const by: Actor = { id: caller.id, name: caller.name };
    const ended = { type: 'session.ended', session: id, endReason: 'terminated', by } as const;
    await broker.audit.append([ended]);
  }
  const ended = await markEnded(broker, id, 'terminated');
  await sendSignal(broker, { order: 'close', session: id, reason: 'session-terminated' });
  await forgetOpenSession(broker, ended);
  return viewConnections(broker, ended);
}

/** Writes that the session has ended, unless it had before, and returns it as it then is. */
export async function markEnded(
  broker: Broker,
  id: string,
  endReason: EndReason,
): Promise<Session> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const stored = await findSession(broker, id);
    if (stored === undefined) throw toNotFound();
    const { session, etag } = stored;
    if (session.state === 'ended' || session.state === 'expired') return session;
    const state = endReason === 'unused' ? 'expired' : 'ended';
    const ended: Session = { ...session, state, endReason };
    if ((await replaceSession(broker, { session: ended, etag })) === 'replaced') return ended;
  }
  throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
}

/** Gives back what an open session holds: its caller's place, and its entry in the list of those still to end. */
export async function forgetOpenSession(broker: Broker, session: Session): Promise<void> {
  const due = toDueKey(session);
  await releaseSlot(broker.state, toCallerPartition(session.caller.id), session.id);
  await broker.state.remove(due.partition, due.row);
}
