import * as z from 'zod';
import type { Entry } from './audit-tail.ts';
import { protocols } from './target.ts';

/** What a webhook can be told of: the `type` of a CloudEvent. */
export const noticeTypes = [
  'sallyport.session.requested',
  'sallyport.session.started',
  'sallyport.session.denied',
  'sallyport.session.ended',
  'sallyport.approval.decided',
  'sallyport.lock.set',
  'sallyport.lock.lifted',
] as const;

export type NoticeType = (typeof noticeTypes)[number];

/** What a webhook asks for that is to be sent every entry of the audit log, whole. */
export const everyEntry = 'sallyport.audit.*';

export const actorShape = z.object({ id: z.string(), name: z.string() });

/** What a notice tells of a session. All else that an entry or a stored session holds, its host above all, falls away. */
export const sessionFactsShape = z.object({
  caller: actorShape,
  /** The person for whom the caller acts. */
  onBehalfOf: actorShape.exactOptional(),
  target: z.object({ id: z.string(), name: z.string() }),
  protocol: z.enum(protocols),
  port: z.int(),
  reason: z.string().exactOptional(),
  change: z.string().exactOptional(),
});

/** What happened, as it may be told, but for what only the stored session knows. */
export type Draft = {
  readonly type: NoticeType;
  /** The entry behind it, and when that was composed. */
  readonly place: Pick<Entry, 'chain' | 'sequence'>;
  readonly time: string;
  /** What it happened to: its collection in the API, and its id. */
  readonly kind: 'sessions' | 'locks';
  readonly subject: string;
  /** What the entries tell of the session, where they do. */
  readonly facts?: z.infer<typeof sessionFactsShape>;
  readonly data: Readonly<Record<string, unknown>>;
};

/** What is sent: a CloudEvent (version 1.0, JSON format) or a batch of them. Its id follows from the audit entries behind it. */
export type Notice = {
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly body: string;
};

const deadlineShape = z.object({ deadline: z.string() });

/** Completes a draft with what may be told of the stored session, where there is one, and with links into the API of the broker. */
export function toNotice(
  draft: Draft,
  broker: URL,
  stored: unknown,
): Notice & { readonly type: NoticeType } {
  const { type, time, kind, subject, data, place } = draft;
  // No full stop may be in an id: it separates what is signed.
  const id = `${place.chain}-${String(place.sequence)}`;
  const link = new URL(`/api/${kind}/${subject}`, broker).href;
  const event = {
    specversion: '1.0',
    id,
    source: broker.origin,
    type,
    subject,
    time,
    datacontenttype: 'application/json',
    data:
      kind === 'locks' ? { ...data, links: { lock: link } } : toSessionData(draft, stored, link),
  };
  return { id, type, time, body: JSON.stringify(event) };
}

function toSessionData({ type, subject, facts, data }: Draft, stored: unknown, link: string) {
  const known = facts ?? sessionFactsShape.safeParse(stored).data;
  const isStarted = type === 'sallyport.session.started';
  const isRequested = type === 'sallyport.session.requested';
  return {
    session: { id: subject, ...known },
    ...(isStarted ? deadlineShape.safeParse(stored).data : {}),
    ...data,
    links: { session: link, ...(isRequested ? { approval: `${link}/approval` } : {}) },
  };
}
