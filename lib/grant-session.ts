import { createHash } from 'node:crypto';
import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { toDelegationPartition } from './delegation.ts';
import { BrokerError } from './failure.ts';
import type { PreparedTicket } from './issue-ticket.ts';
import { prepareTicket } from './issue-ticket.ts';
import {
  toCallerPartition,
  toDelegatedRows,
  toDueRow,
  toIndexRows,
  toWaitingRows,
} from './session-index.ts';
import type { SessionRequest } from './session-request.ts';
import type { ReadySession, Session } from './session.ts';
import { findSession, isLive, toSessionRow } from './session.ts';
import { releaseSlot, takeSlot } from './slot.ts';
import type { Row } from './table.ts';
import type { Target } from './target.ts';
import type { Terms } from './terms.ts';

/** All that was found and decided about a request. */
export type Grant = {
  readonly id: string;
  readonly caller: Actor;
  /** For whom the caller acts, and by which delegation. */
  readonly acting: Pick<Session, 'onBehalfOf' | 'delegation'>;
  readonly wanted: SessionRequest;
  readonly createdAt: Date;
  readonly target: Target;
  readonly input: DecisionInput;
  readonly decision: Exclude<Decision, { readonly outcome: 'deny' }>;
};

/** Returns the session that a grant makes, ready for use; its deadline is the shortest of wish, term and cap. */
export function toSession(
  broker: Pick<Broker, 'limits' | 'newId'>,
  grant: Grant & { readonly host: string },
): ReadySession {
  const seconds = findAllowedSeconds(broker, grant.input, grant.decision.terms);
  const deadline = capDeadline(grant.input, toDeadline(grant.createdAt, seconds));
  return { ...toRequested(broker, grant), state: 'ready', host: grant.host, deadline };
}

/** Returns what a session is before it is known whether it waits. */
export function toRequested(
  broker: Pick<Broker, 'newId'>,
  { id, caller, acting, wanted, createdAt, target, input, decision }: Grant,
): Omit<Session, 'state' | 'deadline'> {
  return {
    id,
    caller,
    ...acting,
    target: { id: target.id, name: target.name },
    ...(target.armId === undefined ? {} : { armId: target.armId }),
    protocol: wanted.protocol,
    port: input.context.port,
    ...(wanted.reason === undefined ? {} : { reason: wanted.reason }),
    ...(wanted.change === undefined ? {} : { change: wanted.change }),
    createdAt: createdAt.toISOString(),
    terms: decision.terms,
    policies: [...decision.policies],
    digest: decision.digest,
    input,
    requestDigest: digestRequest(wanted),
    nonce: broker.newId(),
  };
}

/** Returns how long a session may last: the shortest of wish, term and cap, in seconds. */
export function findAllowedSeconds(
  { limits }: Pick<Broker, 'limits'>,
  { context }: DecisionInput,
  { maxDurationSeconds = Number.POSITIVE_INFINITY }: Terms,
): number {
  return Math.min(context.durationSeconds, maxDurationSeconds, limits.maxSessionSeconds);
}

/** Returns the time so many seconds later, in whole seconds, as tickets carry them: session and ticket end at one time. */
export function toDeadline(from: Date, seconds: number): string {
  return new Date((Math.floor(from.getTime() / 1000) + seconds) * 1000).toISOString();
}

/** Returns the deadline, or the end of the delegation where that is earlier. */
export function capDeadline({ delegation }: DecisionInput, deadline: string): string {
  if (delegation === undefined) return deadline;
  const end = new Date(delegation.expiresAt * 1000).toISOString();
  return end < deadline ? end : deadline;
}

/**
 * Takes one of the caller's places and one of the delegation's sessions, and sees to it that the session will be found
 * and will end. Fails with `session-limit` when the caller has no place left, with `access-denied` when the delegation
 * has none.
 */
export async function reserveSession(broker: Broker, session: Session): Promise<void> {
  const outcomes = await Promise.allSettled([
    takeCallerSlot(broker, session),
    takeDelegationSlot(broker, session),
    ...toListRows(session).map(async (row) => broker.state.insert(row)),
  ]);
  await requireAll(broker, session, outcomes);
}

/** Returns the rows of all lists in which a session stands. */
function toListRows(session: Session): readonly Row[] {
  return [
    toDueRow(session),
    ...toIndexRows(session),
    ...toWaitingRows(session),
    ...toDelegatedRows(session),
  ];
}

async function takeCallerSlot(broker: Broker, { id, nonce, caller }: Session): Promise<void> {
  const limit = broker.limits.sessionsPerCaller;
  const wanted = {
    partition: toCallerPartition(caller.id),
    holder: nonce,
    about: id,
    limit,
    isRepeated: false,
  };
  const now = broker.now();
  const isHeld = async (holder: string, about: string): Promise<boolean> => {
    const stored = await findSession(broker, about);
    return stored?.session.nonce === holder && isLive(stored.session, now);
  };
  if (!(await takeSlot(broker.state, wanted, now, isHeld)))
    throw new BrokerError(
      'session-limit',
      `You have ${String(limit)} open sessions. End one, then ask again.`,
      { retryAfterSeconds: 60 },
    );
}

async function takeDelegationSlot(
  broker: Broker,
  { id, nonce, delegation }: Session,
): Promise<void> {
  const limit = delegation?.maxSessions;
  if (delegation === undefined || limit === undefined) return;
  const partition = toDelegationPartition(delegation.id);
  const wanted = { partition, holder: nonce, about: id, limit, isRepeated: false };
  // One that has ended was one all the same: what is counted is how many there have been.
  const isHeld = async (holder: string, about: string): Promise<boolean> =>
    (await findSession(broker, about))?.session.nonce === holder;
  if (!(await takeSlot(broker.state, wanted, broker.now(), isHeld)))
    throw new BrokerError(
      'access-denied',
      `The delegation was good for ${String(limit)} sessions. Ask for another one.`,
      { advice: [] },
    );
}

/**
 * Stores the session and records it, at once, and returns its first ticket; undefined when the id was taken meanwhile.
 * When anything fails, the session is taken back, and no ticket leaves.
 */
export async function storeSession(
  broker: Broker,
  session: ReadySession,
  events: readonly AuditEvent[],
): Promise<PreparedTicket['view'] | undefined> {
  const ticket = await prepareTicket(broker, session, 'jwt').catch(async (failure: unknown) => {
    await withdrawSession(broker, session);
    throw failure;
  });
  const stored = await storeRecorded(broker, session, [...events, ticket.event]);
  return stored === 'inserted' ? ticket.view : undefined;
}

/** Stores the session and records it, at once; `exists` when the id was taken meanwhile. When anything fails, it is taken back. */
export async function storeRecorded(
  broker: Broker,
  session: Session,
  events: readonly AuditEvent[],
): Promise<'inserted' | 'exists'> {
  const stored = broker.state.insert(toSessionRow(session));
  // All of them must have ended before anything is taken back.
  const outcomes = await Promise.allSettled([stored, broker.audit.append(events)]);
  await requireAll(broker, session, outcomes);
  const outcome = await stored;
  if (outcome === 'exists') await withdrawSession(broker, session);
  return outcome;
}

async function requireAll(
  broker: Broker,
  session: Session,
  outcomes: readonly PromiseSettledResult<unknown>[],
): Promise<void> {
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return;
  await withdrawSession(broker, session);
  throw failed.reason;
}

/** Returns what tells an identical repetition of a request from another one. */
export function digestRequest(wanted: SessionRequest): string {
  const members = Object.entries(wanted).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

// As far as the state can be reached: what stays behind is a session without a ticket, and a ticket of it would be
// decided and recorded anew.
async function withdrawSession(broker: Broker, session: Session): Promise<void> {
  try {
    await removeOwnRow(broker, session);
  } catch (failure) {
    // The session may be there, and then it must be found and must end.
    broker.log('session.withdrawal-incomplete', { session: session.id, failure });
    return;
  }
  const rows = toListRows(session);
  const outcomes = await Promise.allSettled([
    ...toSlotPartitions(session).map(async (partition) =>
      releaseSlot(broker.state, partition, session.nonce),
    ),
    ...rows.map(async ({ partition, row }) => broker.state.remove(partition, row)),
  ]);
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').length;
  if (0 < failed) broker.log('session.withdrawal-incomplete', { session: session.id, failed });
}

function toSlotPartitions({ caller, delegation }: Session): readonly string[] {
  const own = toCallerPartition(caller.id);
  const isCounted = delegation?.maxSessions !== undefined;
  return isCounted ? [own, toDelegationPartition(delegation.id)] : [own];
}

async function removeOwnRow(broker: Broker, { id, nonce }: Session): Promise<void> {
  const stored = await findSession(broker, id);
  if (stored?.session.nonce !== nonce) return;
  const { partition, row } = toSessionRow(stored.session);
  await broker.state.remove(partition, row);
}
