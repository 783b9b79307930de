import * as z from 'zod';
import type { Entry } from './audit-tail.ts';
import type { Draft, NoticeType } from './notice.ts';
import { actorShape, sessionFactsShape } from './notice.ts';
import { protocols } from './target.ts';

const id = z.uuid();

/** The entries that are told of, each with what may be told and nothing else. */
const sourceShape = z.discriminatedUnion('type', [
  sessionFactsShape.extend({
    type: z.literal('session.pending'),
    session: id,
    kind: z.enum(['session', 'extension']),
    request: z.string(),
    durationSeconds: z.int(),
    needs: z.array(z.object({ group: z.string(), count: z.int() })),
    expiresAt: z.iso.datetime(),
  }),
  z.object({
    type: z.literal('approval.decided'),
    session: id,
    request: z.string(),
    by: actorShape,
    decision: z.enum(['approve', 'deny']),
    durationSeconds: z.int().exactOptional(),
    note: z.string().exactOptional(),
  }),
  z.object({ type: z.literal('session.ready'), session: id, deadline: z.iso.datetime() }),
  z.object({
    type: z.literal('session.ended'),
    session: id,
    endReason: z.string(),
    by: actorShape.exactOptional(),
  }),
  z.object({ type: z.literal('ticket.issued'), session: id }),
  z.object({ type: z.literal('session.denied'), session: id }),
  z.object({
    type: z.literal('lock.set'),
    lock: z.object({
      id,
      kind: z.string(),
      value: z.string(),
      message: z.string(),
      expiresAt: z.string().exactOptional(),
      setBy: actorShape,
      setAt: z.string(),
    }),
  }),
  z.object({ type: z.literal('lock.lifted'), lock: id, by: actorShape }),
]);

type Source = z.infer<typeof sourceShape>;

type Told = Omit<Draft, 'place' | 'time'>;

const sourceTypes: ReadonlySet<unknown> = new Set(
  sourceShape.options.map(({ shape }) => shape.type.value),
);

/** How many entries before an entry say what it means. */
export const contextEntries = 2;

/**
 * Returns what an entry tells, with the two entries before it in its chain; undefined when it tells nothing. Throws when
 * it is not as entries of its type are.
 */
export function toDraft(entry: Entry, before: readonly Entry[]): Draft | undefined {
  if (!sourceTypes.has(entry.body['type'])) return undefined;
  const told = tell(sourceShape.parse(entry.body), entry, before);
  const { chain, sequence, time } = entry;
  return told && { ...told, place: { chain, sequence }, time };
}

function tell(source: Source, entry: Entry, before: readonly Entry[]): Told | undefined {
  if ('lock' in source) return tellLock(source);
  const { type, session } = source;
  if (type === 'ticket.issued') return tellAnswer('sallyport.session.started', session, before);
  if (type === 'session.denied')
    return tellAnswer('sallyport.session.denied', session, [...before, entry]);
  return tellProgress(source);
}

const requestedShape = z.object({
  type: z.literal('session.requested'),
  session: id,
  caller: actorShape,
  onBehalfOf: actorShape.exactOptional(),
});

const decidedShape = z.object({
  type: z.enum(['session.allowed', 'session.denied']),
  session: id,
  input: z.object({
    target: sessionFactsShape.shape.target,
    action: z.templateLiteral(['connect.', z.enum(protocols)]),
    context: sessionFactsShape.pick({ port: true, reason: true, change: true }),
  }),
});

// A request, the decision and, when that was to allow, the first ticket are recorded together. A decision or a ticket
// without the request right before it is one of a session that is there already, and starts nothing.
function tellAnswer(
  type: NoticeType,
  subject: string,
  entries: readonly Entry[],
): Told | undefined {
  const [asked, answered] = entries.slice(-2);
  const requested = requestedShape.safeParse(asked?.body).data;
  const decided = decidedShape.safeParse(answered?.body).data;
  if (requested?.session !== subject || decided?.session !== subject) return undefined;
  const { action, target, context } = decided.input;
  const protocol = action.slice('connect.'.length);
  const { caller, onBehalfOf } = requested;
  const who = { caller, ...(onBehalfOf === undefined ? {} : { onBehalfOf }) };
  const facts = sessionFactsShape.parse({ ...context, ...who, target, protocol });
  return { type, kind: 'sessions', subject, facts, data: {} };
}

function tellLock(source: Extract<Source, { readonly lock: unknown }>): Told {
  if (source.type === 'lock.set') {
    const { lock } = source;
    return { type: 'sallyport.lock.set', kind: 'locks', subject: lock.id, data: { lock } };
  }
  const { lock: subject, by } = source;
  const data = { lock: { id: subject }, by };
  return { type: 'sallyport.lock.lifted', kind: 'locks', subject, data };
}

const progressTypes = {
  'session.pending': 'sallyport.session.requested',
  'session.ready': 'sallyport.session.started',
  'session.ended': 'sallyport.session.ended',
  'approval.decided': 'sallyport.approval.decided',
} as const satisfies Readonly<Record<string, NoticeType>>;

type Progress = Extract<Source, { readonly type: keyof typeof progressTypes }>;

function tellProgress(source: Progress): Told {
  const told = { type: progressTypes[source.type], kind: 'sessions' } as const;
  if (source.type !== 'session.pending') {
    const { type: _type, session: subject, ...data } = source;
    return { ...told, subject, data };
  }
  const { session: subject, kind, request, durationSeconds, needs, expiresAt } = source;
  const data = { kind, request, durationSeconds, needs, expiresAt };
  return { ...told, subject, facts: sessionFactsShape.parse(source), data };
}
