import * as z from 'zod';
import { approvalViewShape } from './approval-view.ts';
import { closeReasons } from './close-reason.ts';
import { needShape } from './need.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

const id = z.uuid();
const time = z.iso.datetime();

/** The states of a session. The first two are passed at once where nothing has to be waited for; the last four are final. */
export const sessionStates = [
  'pendingApproval',
  'preparing',
  'ready',
  'active',
  'ended',
  'expired',
  'denied',
  'failed',
] as const;

/** Why a session ended. */
export const endReasons = [
  'terminated',
  'deadline',
  'unused',
  'policy',
  // An approver said no, or nobody said enough in time.
  'denied',
  'unapproved',
  // It could not be made ready.
  'locked',
  'target-changed',
  'start-failed',
  'unreachable',
  // The person has taken back what a workload did in their name.
  'delegation-revoked',
] as const;

export type EndReason = (typeof endReasons)[number];

/** What a session that is not ready waits for. */
export const progresses = ['approval', 'starting', 'probing'] as const;

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
  /** The person for whom the caller acts, and the delegation by which it does where its token does not say so. */
  onBehalfOf: z.strictObject({ id: z.string(), name: z.string() }).exactOptional(),
  delegation: z.uuid().exactOptional(),
  target: z.strictObject({ id: z.guid(), name: z.string() }),
  protocol: z.enum(protocols),
  port: z.int(),
  reason: z.string().exactOptional(),
  change: z.string().exactOptional(),
  createdAt: time,
  /** When it became ready. */
  startedAt: time.exactOptional(),
  /** When it ends; while it waits, when it stops waiting. */
  deadline: time,
  terms: termsShape,
  /** What the session needs, or needed, before it is ready, and what approvers have said. */
  approval: approvalViewShape.exactOptional(),
  /** Likewise for a longer time than was granted. */
  extension: approvalViewShape.exactOptional(),
  /** What is waited for. */
  progress: z.enum(progresses).exactOptional(),
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
    z.strictObject({
      protocol: z.enum(protocols),
      port: z.int(),
      terms: termsShape,
      /** What is still needed for these terms; absent when a session is granted at once. */
      needs: z.array(needShape).exactOptional(),
      /** The other bundles of terms that can be asked for by name; absent when there are none. */
      profiles: z
        .array(
          z.strictObject({
            name: z.string(),
            terms: termsShape,
            needs: z.array(needShape).exactOptional(),
          }),
        )
        .exactOptional(),
    }),
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
  /** The person for whom the caller acts, as the token says. */
  onBehalfOf: z.strictObject({ id: z.string(), name: z.string() }).exactOptional(),
});
