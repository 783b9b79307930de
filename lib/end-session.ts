import * as z from 'zod';
import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import { findConnections } from './find-connections.ts';
import { toNotFound } from './not-found.ts';
import { hasRole } from './role.ts';
import { toCallerPartition, toDelegatedRows, toDueKey, toWaitingRows } from './session-index.ts';
import { endReasons } from './session-view.ts';
import type { EndReason, SessionView } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession, hasEnded, isOfCaller, replaceSession } from './session.ts';
import { sendSignal } from './signal.ts';
import { releaseSlot } from './slot.ts';
import type { StoredRow } from './table.ts';
import { toSessionView } from './view-session.ts';

// Each try means that somebody else wrote the row in between, so a handful is plenty.
const maxTries = 10;

// The process that gave an order carries it out within seconds; after this long it has died.
const orderMilliseconds = 60_000;

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
  const isMine = stored !== undefined && isOfCaller(stored.session, caller);
  if (stored === undefined || !(isMine || hasRole(caller, 'Session.Terminate.All')))
    throw toNotFound();
  const { session } = stored;
  if (hasEnded(session)) return toSessionView(broker, session);
  // Whoever comes after the deadline ends nothing that had not ended.
  if (new Date(session.deadline) <= broker.now())
    return toSessionView(broker, await endOverdue(broker, session));
  const by: Actor = { id: caller.id, name: caller.name };
  return toSessionView(broker, await endSession(broker, session, { endReason: 'terminated', by }));
}

/** Ends a session whose deadline has passed, and returns it as it then is. One that nobody used has expired. */
export async function endOverdue(broker: Broker, session: Session): Promise<Session> {
  const { state, approval, preparation } = session;
  if (state === 'pendingApproval') {
    const isDenied = approval?.outcome === 'denied';
    return endSession(broker, session, { endReason: isDenied ? 'denied' : 'unapproved' });
  }
  if (state === 'preparing') {
    const isStarted = preparation?.startedAt !== undefined;
    return endSession(broker, session, { endReason: isStarted ? 'start-failed' : 'unreachable' });
  }
  const { length } = await findConnections(broker, session.id, 1);
  return endSession(broker, session, { endReason: length === 0 ? 'unused' : 'deadline' });
}

/** How a session is to end, and by whose order where somebody gave one. */
export type Ending = {
  readonly endReason: EndReason;
  readonly by?: Actor;
  /** What is recorded before the end, for example the decision behind it. */
  readonly events?: readonly AuditEvent[];
};

/**
 * Orders, records and carries out the end of a session. The order stands in the list of sessions that are to end, so that
 * whatever process dies in between, `reconcile` comes to the end within minutes.
 */
export async function endSession(
  broker: Broker,
  session: Session,
  { endReason, by, events = [] }: Ending,
): Promise<Session> {
  const at = new Date(broker.now().getTime() + orderMilliseconds).toISOString();
  const order = toDueKey({ ...session, deadline: at });
  const values = {
    session: session.id,
    endReason,
    ...(by === undefined ? {} : { by: toText(by) }),
  };
  await broker.state.put([{ ...order, values }]);
  await recordEnd(broker, session.id, { endReason, ...(by === undefined ? {} : { by }), events });
  const ended = await finishEnding(broker, session.id, endReason);
  await broker.state.remove(order.partition, order.row);
  return ended;
}

/** Carries out an order that a dead process has left. An end that was marked had been recorded. */
export async function finishOrder(broker: Broker, session: Session, ending: Ending): Promise<void> {
  if (!hasEnded(session)) await recordEnd(broker, session.id, ending);
  await finishEnding(broker, session.id, ending.endReason);
}

async function recordEnd(broker: Broker, session: string, ending: Ending): Promise<void> {
  const { endReason, by, events = [] } = ending;
  const who = by === undefined ? {} : { by };
  await broker.audit.append([...events, { type: 'session.ended', session, endReason, ...who }]);
}

const actorShape = z.object({ id: z.string(), name: z.string() });

function toText(actor: Actor): string {
  return JSON.stringify(actor);
}

/** Returns the order that a row of the list holds; undefined for the row of a deadline. */
export function toOrder({ values }: Pick<StoredRow, 'values'>): Ending | undefined {
  const endReason = endReasons.find((known) => known === values['endReason']);
  if (endReason === undefined) return undefined;
  const by = values['by'];
  return {
    endReason,
    ...(by === undefined ? {} : { by: actorShape.parse(JSON.parse(String(by))) }),
  };
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
  if (isOrdered(endReason)) await sendSignal(broker, { order: 'close', session: id, reason });
  await releaseSlot(broker.state, toCallerPartition(ended.caller.id), ended.nonce);
  await Promise.all(
    [toDueKey(ended), ...toWaitingRows(ended), ...toDelegatedRows(ended)].map(
      async ({ partition, row }) => broker.state.remove(partition, row),
    ),
  );
  return ended;
}

const endStates: Record<EndReason, Session['state']> = {
  terminated: 'ended',
  deadline: 'ended',
  unused: 'expired',
  policy: 'ended',
  denied: 'denied',
  unapproved: 'expired',
  locked: 'failed',
  'target-changed': 'failed',
  'start-failed': 'failed',
  unreachable: 'failed',
  'delegation-revoked': 'ended',
};

/** Whether the end came before the deadline, so that gateways have to be told. */
function isOrdered(endReason: EndReason): boolean {
  return ['terminated', 'policy', 'delegation-revoked'].includes(endReason);
}

function toEnded(session: Session, endReason: EndReason): Session {
  const { state, approval } = session;
  const isWaiting = state === 'pendingApproval' || state === 'preparing';
  const isWithdrawn = endReason === 'policy' || endReason === 'delegation-revoked';
  const isOver = approval !== undefined && approval.outcome === undefined;
  return {
    ...session,
    ...(isOver ? { approval: { ...approval, outcome: 'expired' } } : {}),
    state: isWaiting && isWithdrawn ? 'failed' : endStates[endReason],
    endReason,
  };
}

async function markEnded(broker: Broker, id: string, endReason: EndReason): Promise<Session> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const stored = await findSession(broker, id);
    if (stored === undefined) throw toNotFound();
    const { session, etag } = stored;
    if (hasEnded(session)) return session;
    const ended = toEnded(session, endReason);
    if ((await replaceSession(broker, { session: ended, etag })) === 'replaced') return ended;
  }
  throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
}
