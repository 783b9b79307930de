import * as z from 'zod';
import { closeReasons } from './close-reason.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

const id = z.uuid();
const time = z.iso.datetime();

/** The states of a session. `requested`, `pendingApproval` and `preparing` are passed at once where nothing has to be waited for. */
export const sessionStates = ['ready', 'active', 'ended', 'expired'] as const;

/** Why a session ended. */
export const endReasons = ['terminated', 'deadline', 'unused', 'policy'] as const;

export type EndReason = (typeof endReasons)[number];

/** A ticket as its caller gets it, once. */
const ticketViewShape = z.strictObject({
  /** The secret: present it at the endpoint in `Authorization: Bearer`, never in a URL. */
  ticket: z.string(),
  form: z.enum(['jwt', 'handle']),
  expiresAt: time,
});

/** One connection of a session. */
export const connectionViewShape = z.strictObject({
  id,
  state: z.enum(['open', 'closed']),
  openedAt: time,
  closedAt: time.exactOptional(),
  reason: z.enum(closeReasons).exactOptional(),
  bytesUp: z.int().exactOptional(),
  bytesDown: z.int().exactOptional(),
});

/** A session as its caller sees it. The host of the target is never in it. */
export const sessionViewShape = z.strictObject({
  id,
  state: z.enum(sessionStates),
  endReason: z.enum(endReasons).exactOptional(),
  caller: z.strictObject({ id: z.string(), name: z.string() }),
  target: z.strictObject({ id: z.guid(), name: z.string() }),
  protocol: z.enum(protocols),
  port: z.int(),
  reason: z.string().exactOptional(),
  change: z.string().exactOptional(),
  createdAt: time,
  deadline: time,
  terms: termsShape,
  decision: z.strictObject({ policies: z.array(z.string()), digest: z.string() }),
  /** The `wss:` URL where a ticket is presented. */
  endpoint: z.url(),
  connections: z.array(connectionViewShape).exactOptional(),
  /** The first ticket; only in the answer that made the session. */
  ticket: ticketViewShape.exactOptional(),
});

export type SessionView = z.infer<typeof sessionViewShape>;

/** A page of sessions, newest first. */
export const sessionListShape = z.strictObject({
  value: z.array(sessionViewShape),
  nextLink: z.url().exactOptional(),
});

/** `POST /api/sessions/{id}/tickets`. */
export const ticketRequestShape = z.strictObject({
  form: z
    .enum(['jwt', 'handle'])
    .default('jwt')
    .describe('A handle is 43 characters, for clients that have no room for a JWT.'),
});

export type TicketRequest = z.infer<typeof ticketRequestShape>;

/** Answer to `POST /api/sessions/{id}/tickets`. */
export const ticketAnswerShape = ticketViewShape.extend({ endpoint: z.url() });

/** What the caller may reach now. */
export const targetViewShape = z.strictObject({
  id: z.guid(),
  name: z.string(),
  armId: z.string().exactOptional(),
  os: z.enum(['linux', 'windows', 'unknown']),
  power: z.enum([
    'running',
    'stopped',
    'deallocated',
    'starting',
    'stopping',
    'deallocating',
    'unknown',
  ]),
  services: z.array(
    z.strictObject({ protocol: z.enum(protocols), port: z.int(), terms: termsShape }),
  ),
});

export const targetListShape = z.strictObject({
  value: z.array(targetViewShape),
  nextLink: z.url().exactOptional(),
});

/** `GET /.well-known/sallyport`: what a client needs to know before it can ask. */
export const discoveryShape = z.strictObject({
  name: z.literal('sallyport'),
  version: z.string(),
  url: z.url(),
  jwksUri: z.url(),
  openapi: z.url(),
  apiVersions: z.array(z.string()),
  /** The public root key that endorses every signing key (RFC 7517). */
  root: z.record(z.string(), z.string()),
  /** Where people sign in, for `sallyport login`. */
  login: z
    .strictObject({ issuer: z.url(), clientId: z.string(), scope: z.string() })
    .exactOptional(),
  issuers: z.array(z.strictObject({ issuer: z.string(), audience: z.array(z.string()) })),
});

/** `GET /api/whoami`: what the broker believes about the caller. */
export const whoamiShape = z.strictObject({
  id: z.string(),
  kind: z.enum(['person', 'workload']),
  name: z.string(),
  app: z.string(),
  issuer: z.string(),
  roles: z.array(z.string()),
  groups: z.union([z.array(z.string()), z.literal('unknown')]),
});
