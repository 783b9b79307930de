import { createHash } from 'node:crypto';
import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { PreparedTicket } from './issue-ticket.ts';
import { prepareTicket } from './issue-ticket.ts';
import { toCallerPartition, toDueRow, toIndexRows } from './session-index.ts';
import type { SessionRequest } from './session-request.ts';
import type { Session } from './session.ts';
import { findSession, isOpen, toSessionRow } from './session.ts';
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

/**
 * Takes one of the caller's places, and sees to it that the session will be found and will end. Fails with `session-limit` when the caller
 * has no place left.
 */
export async function reserveSession(broker: Broker, session: Session): Promise<void> {
  const outcomes = await Promise.allSettled([
    takeCallerSlot(broker, session),
    ...[toDueRow(session), ...toIndexRows(session)].map(async (row) => broker.state.insert(row)),
  ]);
  await requireAll(broker, session, outcomes);
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
    return stored?.session.nonce === holder && isOpen(stored.session, now);
  };
  if (!(await takeSlot(broker.state, wanted, now, isHeld)))
    throw new BrokerError(
      'session-limit',
      `You have ${String(limit)} open sessions. End one, then ask again.`,
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
  const ticket = await prepareTicket(broker, session, 'jwt').catch(async (failure: unknown) => {
    await withdrawSession(broker, session);
    throw failure;
  });
  const stored = broker.state.insert(toSessionRow(session));
  // All of them must have ended before anything is taken back.
  const outcomes = await Promise.allSettled([
    stored,
    broker.audit.append([...events, ticket.event]),
  ]);
  await requireAll(broker, session, outcomes);
  if ((await stored) === 'inserted') return ticket.view;
  await withdrawSession(broker, session);
  return undefined;
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
  const rows = [...toIndexRows(session), toDueRow(session)];
  const outcomes = await Promise.allSettled([
    releaseSlot(broker.state, toCallerPartition(session.caller.id), session.nonce),
    ...rows.map(async ({ partition, row }) => broker.state.remove(partition, row)),
  ]);
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').length;
  if (0 < failed) broker.log('session.withdrawal-incomplete', { session: session.id, failed });
}

async function removeOwnRow(broker: Broker, { id, nonce }: Session): Promise<void> {
  const stored = await findSession(broker, id);
  if (stored?.session.nonce !== nonce) return;
  const { partition, row } = toSessionRow(stored.session);
  await broker.state.remove(partition, row);
}
