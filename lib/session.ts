import * as z from 'zod';
import { approvalShape } from './approval.ts';
import { joinParts, splitParts } from './audit-parts.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { decisionInputShape } from './decision.ts';
import { BrokerError } from './failure.ts';
import { endReasons, sessionStates } from './session-view.ts';
import type { Row } from './table.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

const time = z.iso.datetime();

/** What has been done so far to make a session ready. */
const preparationShape = z.strictObject({
  /** Whether the caller asked to have a stopped VM started. */
  mayStart: z.boolean(),
  /** When the next step may be taken, in milliseconds since the epoch: one process takes a step at a time. */
  nextStepAt: z.int(),
  /** When the VM was told to start. */
  startedAt: time.exactOptional(),
  /** The operation of that start, by which the source of targets is asked what came of it. */
  operation: z.string().exactOptional(),
  /** When a gateway was first asked to try the port. */
  probedAt: time.exactOptional(),
});

/** One permitted use of one target by one caller, as it is stored. Members of a later version are let through. */
const sessionShape = z.object({
  id: z.uuid(),
  state: z.enum(sessionStates),
  endReason: z.enum(endReasons).exactOptional(),
  caller: z.strictObject({ id: z.string(), name: z.string() }),
  /** The person for whom the caller acts. */
  onBehalfOf: z.strictObject({ id: z.string(), name: z.string() }).exactOptional(),
  /** The delegation by which it does, and how many sessions that is good for. */
  delegation: z
    .strictObject({ id: z.uuid(), maxSessions: z.int().exactOptional() })
    .exactOptional(),
  target: z.strictObject({ id: z.string(), name: z.string() }),
  /** The ARM id of the target, where it has one: the shortest way to look at it again. */
  armId: z.string().exactOptional(),
  /** The private address when the session became ready. */
  host: z.string().exactOptional(),
  protocol: z.enum(protocols),
  port: z.int(),
  reason: z.string().exactOptional(),
  change: z.string().exactOptional(),
  createdAt: time,
  /** When it became ready, where that was later. */
  startedAt: time.exactOptional(),
  /** When it ends; while it waits, when it stops waiting. */
  deadline: time,
  /** The approval that it waits for, or has had. */
  approval: approvalShape.exactOptional(),
  /** The approval of a later deadline. */
  extension: approvalShape.exactOptional(),
  /** What was decided on when that was asked for. */
  extensionInput: decisionInputShape.exactOptional(),
  /** How far it has come while it is prepared. */
  preparation: preparationShape.exactOptional(),
  terms: termsShape,
  policies: z.array(z.string()),
  digest: z.string(),
  input: decisionInputShape,
  /** Tells an identical retry of a PUT from another request with the same id. */
  requestDigest: z.string(),
  /** Drawn for each attempt to make the session, so that of two identical requests at once one makes it. */
  nonce: z.uuid(),
});

export type Session = z.infer<typeof sessionShape>;

/** A session that has an address to connect to. */
export type ReadySession = Session & { readonly host: string };

/** A session with the version of its row. */
export type StoredSession = { readonly session: Session; readonly etag: string };

const sessionRow = 'session';

/** Returns the row of a session. */
export function toSessionRow(session: Session): Row {
  // With the facts of its decision and the notes of approvers it may be longer than one string of the table.
  return { partition: session.id, row: sessionRow, values: splitParts(JSON.stringify(session)) };
}

/** Returns the session with this id, whoever it belongs to. */
export async function findSession(
  broker: Pick<Broker, 'state'>,
  id: string,
): Promise<StoredSession | undefined> {
  const row = await broker.state.find(id, sessionRow);
  if (row === undefined) return undefined;
  return {
    session: sessionShape.parse(JSON.parse(joinParts(row.values))),
    etag: row.etag,
  };
}

/** Writes a changed session; `changed` when somebody else has written since. */
export async function replaceSession(
  broker: Pick<Broker, 'state'>,
  { session, etag }: StoredSession,
): Promise<'replaced' | 'changed'> {
  return broker.state.replace({ ...toSessionRow(session), etag });
}

/** Whether the session was made by the caller, or by somebody who acts for them. */
export function isOfCaller({ caller, onBehalfOf }: Session, { id }: Pick<Caller, 'id'>): boolean {
  return caller.id === id || onBehalfOf?.id === id;
}

/** Whether the caller comes as who made the session: as themselves, or for the same person by the same right. */
export function isOfMaker(session: Session, { id, onBehalfOf, delegation }: Caller): boolean {
  if (session.caller.id !== id) return false;
  if (session.delegation === undefined)
    return delegation === undefined && onBehalfOf?.id === session.onBehalfOf?.id;
  return onBehalfOf === undefined || delegation?.id === session.delegation.id;
}

/** Whether the session may be used now. */
export function isOpen(session: Session, now: Date): boolean {
  const { state } = session;
  return (state === 'ready' || state === 'active') && now < new Date(session.deadline);
}

/** Whether the session may be used now, or may still become so. */
export function isLive(session: Session, now: Date): boolean {
  return !hasEnded(session) && now < new Date(session.deadline);
}

const finalStates: ReadonlySet<Session['state']> = new Set([
  'ended',
  'expired',
  'denied',
  'failed',
]);

/** Whether the session has come to its end, which is final. */
export function hasEnded({ state }: Session): boolean {
  return finalStates.has(state);
}

/** Fails with `session-waiting` or `session-ended` unless the session may be used now. */
export function requireOpen(session: Session, now: Date): void {
  if (isOpen(session, now)) return;
  if (isLive(session, now))
    throw new BrokerError(
      'session-waiting',
      'The session is not ready yet. Follow its operation, then ask again.',
      { retryAfterSeconds: 5 },
    );
  throw new BrokerError('session-ended', 'The session has ended. Ask for a new one.');
}

/** Returns when the time of the session began to run, in whole seconds since the epoch. */
export function findStartSeconds({ startedAt, createdAt }: Session): number {
  return Math.floor(new Date(startedAt ?? createdAt).getTime() / 1000);
}
