import { createHash } from 'node:crypto';
import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { PreparedTicket } from './issue-ticket.ts';
import { prepareTicket } from './issue-ticket.ts';
import { toCallerPartition, toIndexRows } from './session-index.ts';
import type { SessionRequest } from './session-request.ts';
import type { Session } from './session.ts';
import { findSession, toSessionRow } from './session.ts';
import { releaseSlot, takeSlot } from './slot.ts';
import type { Target } from './target.ts';

/** All that was found and decided about a request that policy allows. */
export type Grant = {
  readonly id: string;
  readonly caller: Actor;
  readonly wanted: SessionRequest;
  readonly createdAt: Date;
  readonly target: Target;
  readonly host: string;
  readonly input: DecisionInput;
  readonly decision: Extract<Decision, { readonly outcome: 'allow' }>;
};

/** Returns the session that a grant makes; its deadline is the shortest of wish, term and cap. */
export function toSession(broker: Pick<Broker, 'limits' | 'newId'>, grant: Grant): Session {
  const { id, caller, wanted, createdAt, target, host, input, decision } = grant;
  const seconds = Math.min(
    input.context.durationSeconds,
    decision.terms.maxDurationSeconds ?? Number.POSITIVE_INFINITY,
    broker.limits.maxSessionSeconds,
  );
  return {
    id,
    state: 'ready',
    caller,
    target: { id: target.id, name: target.name },
    ...(target.armId === undefined ? {} : { armId: target.armId }),
    host,
    protocol: wanted.protocol,
    port: input.context.port,
    ...(wanted.reason === undefined ? {} : { reason: wanted.reason }),
    ...(wanted.change === undefined ? {} : { change: wanted.change }),
    createdAt: createdAt.toISOString(),
    // Whole seconds, as tickets carry them, so that session and ticket end at one time.
    deadline: new Date((Math.floor(createdAt.getTime() / 1000) + seconds) * 1000).toISOString(),
    terms: decision.terms,
    policies: [...decision.policies],
    digest: decision.digest,
    input,
    requestDigest: digestRequest(wanted),
    nonce: broker.newId(),
  };
}

/** Takes one of the caller's places, or fails with `session-limit`. */
export async function takeCallerSlot(broker: Broker, session: Session): Promise<void> {
  const { sessionsPerCaller } = broker.limits;
  const partition = toCallerPartition(session.caller.id);
  const until = toLatest(new Date(session.createdAt), broker.limits.maxSessionSeconds);
  const wanted = { partition, holder: session.id, until };
  if (!(await takeSlot(broker.state, wanted, sessionsPerCaller, broker.now())))
    throw new BrokerError(
      'session-limit',
      `You have ${String(sessionsPerCaller)} open sessions. End one, then ask again.`,
      { retryAfterSeconds: 60 },
    );
}

/**
 * Stores the session and records it, at once, and returns its first ticket; undefined when the id was taken meanwhile.
 * When anything fails, the session is taken back, and no ticket leaves.
 */
export async function storeSession(
  broker: Broker,
  session: Session,
  events: readonly AuditEvent[],
): Promise<PreparedTicket['view'] | undefined> {
  try {
    const ticket = await prepareTicket(broker, session, 'jwt');
    const stored = broker.state.insert(toSessionRow(session));
    const work = [
      broker.audit.append([...events, ticket.event]),
      ...toIndexRows(session).map(async (row) => broker.state.insert(row)),
    ];
    // All of them must have ended before anything is taken back.
    const outcomes = await Promise.allSettled([stored, ...work]);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return (await stored) === 'exists' ? undefined : ticket.view;
  } catch (failure) {
    await withdrawSession(broker, session);
    throw failure;
  }
}

// An extension moves the deadline, and must not find its place taken.
function toLatest(createdAt: Date, maxSessionSeconds: number): Date {
  return new Date(createdAt.getTime() + maxSessionSeconds * 1000);
}

/** Returns what tells an identical repetition of a request from another one. */
export function digestRequest(wanted: SessionRequest): string {
  const members = Object.entries(wanted).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

// As far as the state can be reached: what stays behind is a session without a ticket, and a ticket of it would be
// decided and recorded anew.
async function withdrawSession(broker: Broker, session: Session): Promise<void> {
  const work = toIndexRows(session).map(async ({ partition, row }) =>
    broker.state.remove(partition, row),
  );
  const outcomes = await Promise.allSettled([
    ...work,
    removeOwnRow(broker, session),
    releaseSlot(broker.state, toCallerPartition(session.caller.id), session.id),
  ]);
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').length;
  if (0 < failed) broker.log('session.withdrawal-incomplete', { session: session.id, failed });
}

async function removeOwnRow(broker: Broker, session: Session): Promise<void> {
  const stored = await findSession(broker, session.id);
  const own = toSessionRow(session);
  if (stored !== undefined && JSON.stringify(stored.session) === own.values['b'])
    await broker.state.remove(own.partition, own.row);
}
