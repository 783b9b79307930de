import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import { hasRole, requireRole } from './role.ts';
import { toNotFound } from './not-found.ts';
import {
  toCallerPartition,
  toDayPartition,
  toNewestFirst,
  toPersonPartition,
} from './session-index.ts';
import type { SessionView } from './session-view.ts';
import { sessionStates } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession, isOfCaller } from './session.ts';
import { toSessionView, viewConnections } from './view-session.ts';

const dayMilliseconds = 86_400_000;
const pageSize = 50;

// How far back a list of everybody's sessions looks when the caller does not say.
const defaultDays = 30;

const positionPattern = /^session\|\d{13}\|[0-9a-f-]{36}$/;

/** The query of `GET /api/sessions`. */
export const sessionQueryShape = z.strictObject({
  status: z.enum(sessionStates).exactOptional(),
  target: z.guid().exactOptional(),
  caller: z
    .string()
    .max(300)
    .exactOptional()
    .describe('A caller id, or `all`; needs the role Session.Read.All. Mine when absent.'),
  onBehalfOf: z
    .string()
    .max(300)
    .exactOptional()
    .describe(
      'Those that others have made in the name of a person: `me`, or a caller id, which needs the role Session.Read.All.',
    ),
  from: z.iso.datetime({ offset: true }).exactOptional(),
  to: z.iso.datetime({ offset: true }).exactOptional(),
  after: z.string().regex(positionPattern).exactOptional().describe('From `nextLink`.'),
});

export type SessionQuery = z.infer<typeof sessionQueryShape>;

/** A page of sessions, and the position after which the next one starts. */
export type SessionPage = { readonly value: readonly SessionView[]; readonly after?: string };

/** Returns one session with its connections: one's own, or any with the role `Session.Read.All`. */
export async function readSession(
  broker: Broker,
  caller: Caller,
  id: string,
): Promise<SessionView> {
  const stored = await findSession(broker, id);
  const isMine = stored !== undefined && isOfCaller(stored.session, caller);
  if (stored === undefined || !(isMine || hasRole(caller, 'Session.Read.All'))) throw toNotFound();
  return viewConnections(broker, stored.session);
}

/**
 * Returns sessions, newest first: one's own, or those that others have made in one's name; with the role, those of or for
 * another caller, or all.
 */
export async function listSessions(
  broker: Broker,
  caller: Caller,
  query: SessionQuery,
): Promise<SessionPage> {
  const to = query.to === undefined ? broker.now() : new Date(query.to);
  const whose = findWhose(caller, query);
  if (whose.id !== caller.id) requireRole(caller, 'Session.Read.All');
  const partitions = whose.kind === 'all' ? toDays(query, to) : [toPartition(whose)];
  const keys = await readKeys(broker, partitions, toRange(query));
  const page = keys.slice(0, pageSize);
  const sessions = await Promise.all(
    [...new Set(page.map(({ session }) => session))].map(async (id) => findSession(broker, id)),
  );
  const value = sessions
    .flatMap((stored) => (stored === undefined ? [] : [stored.session]))
    .filter((session) => isOf(session, whose))
    .filter((session) => matches(session, query))
    .map((session) => toSessionView(broker, session));
  const last = page.at(-1);
  return { value, ...(keys.length <= pageSize || last === undefined ? {} : { after: last.row }) };
}

/** Whose sessions are asked for: those that somebody made, or those that others made for them. */
type Whose =
  | { readonly kind: 'caller' | 'person'; readonly id: string }
  | { readonly kind: 'all'; readonly id?: never };

function findWhose(caller: Caller, query: SessionQuery): Whose {
  const { onBehalfOf: person, caller: other = caller.id } = query;
  if (person !== undefined && query.caller !== undefined)
    throw new BrokerError('request-invalid', 'Ask by caller or by onBehalfOf.', {
      faults: [{ pointer: '/onBehalfOf', detail: 'Leave one of the two out.' }],
    });
  if (person !== undefined) return { kind: 'person', id: person === 'me' ? caller.id : person };
  return other === 'all' ? { kind: 'all' } : { kind: 'caller', id: other };
}

function toPartition({ kind, id }: Exclude<Whose, { readonly kind: 'all' }>): string {
  return kind === 'caller' ? toCallerPartition(id) : toPersonPartition(id);
}

function isOf(session: Session, whose: Whose): boolean {
  if (whose.kind === 'all') return true;
  return whose.id === (whose.kind === 'caller' ? session.caller.id : session.onBehalfOf?.id);
}

function matches(session: Session, { status, target }: SessionQuery): boolean {
  return (
    (status === undefined || session.state === status) &&
    (target === undefined || session.target.id === target.toLowerCase())
  );
}

type KeyRange = { readonly from: string; readonly before: string };

function toRange(query: SessionQuery): KeyRange {
  const oldest = query.from === undefined ? new Date(0) : new Date(query.from);
  const newest = query.to === undefined ? '' : toNewestFirst(new Date(query.to));
  // The first key after a position is that position with one more character.
  const from = query.after === undefined ? `session|${newest}` : `${query.after}0`;
  return { from, before: `session|${toNewestFirst(oldest)}~` };
}

function toDays({ from }: SessionQuery, to: Date): readonly string[] {
  const last = Math.floor(to.getTime() / dayMilliseconds);
  const first =
    from === undefined
      ? last - defaultDays
      : Math.floor(new Date(from).getTime() / dayMilliseconds);
  if (366 < last - first)
    throw new BrokerError('request-invalid', 'Ask for at most a year at a time.', {
      faults: [{ pointer: '/from', detail: 'Give a later time.' }],
    });
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
    toDayPartition(new Date((last - i) * dayMilliseconds)),
  );
}

async function readKeys(
  broker: Broker,
  partitions: readonly string[],
  range: KeyRange,
): Promise<{ row: string; session: string }[]> {
  const keys: { row: string; session: string }[] = [];
  for (const partition of partitions) {
    const rows = await broker.state.list(partition, { ...range, limit: pageSize + 1 });
    keys.push(...rows.map((row) => ({ row: row.row, session: String(row.values['session']) })));
    if (pageSize < keys.length) break;
  }
  return keys;
}
