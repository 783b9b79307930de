import * as z from 'zod';
import type { Broker } from './broker.ts';
import { decisionInputShape } from './decision.ts';
import { BrokerError } from './failure.ts';
import { endReasons, sessionStates } from './session-view.ts';
import type { Row } from './table.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

const time = z.iso.datetime();

/** One permitted use of one target by one caller, as it is stored. Members of a later version are let through. */
const sessionShape = z.object({
  id: z.uuid(),
  state: z.enum(sessionStates),
  endReason: z.enum(endReasons).exactOptional(),
  caller: z.strictObject({ id: z.string(), name: z.string() }),
  target: z.strictObject({ id: z.string(), name: z.string() }),
  /** The ARM id of the target, where it has one: the shortest way to look at it again. */
  armId: z.string().exactOptional(),
  /** The private address when the session was granted. */
  host: z.string(),
  protocol: z.enum(protocols),
  port: z.int(),
  reason: z.string().exactOptional(),
  change: z.string().exactOptional(),
  createdAt: time,
  deadline: time,
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

/** A session with the version of its row. */
export type StoredSession = { readonly session: Session; readonly etag: string };

const sessionRow = 'session';

/** Returns the row of a session. */
export function toSessionRow(session: Session): Row {
  return { partition: session.id, row: sessionRow, values: { b: JSON.stringify(session) } };
}

/** Returns the session with this id, whoever it belongs to. */
export async function findSession(
  broker: Pick<Broker, 'state'>,
  id: string,
): Promise<StoredSession | undefined> {
  const row = await broker.state.find(id, sessionRow);
  if (row === undefined) return undefined;
  return {
    session: sessionShape.parse(JSON.parse(String(row.values['b']))),
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

/** Whether the session may be used now. */
export function isOpen(session: Session, now: Date): boolean {
  return !hasEnded(session) && now < new Date(session.deadline);
}

/** Whether the session has been marked as ended. */
export function hasEnded({ state }: Session): boolean {
  return state === 'ended' || state === 'expired';
}

/** Fails with `session-ended` unless the session may be used now. */
export function requireOpen(session: Session, now: Date): void {
  if (!isOpen(session, now))
    throw new BrokerError('session-ended', 'The session has ended. Ask for a new one.');
}
