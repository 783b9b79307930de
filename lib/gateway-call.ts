import * as z from 'zod';
import { closeReasons } from './close-reason.ts';
import { probeOutcomes } from './probe.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';
import { maxTicketCharacters } from './ticket.ts';

// The calls of a gateway to the broker: redeem a ticket, renew leases, report a close, a probe or a leaked ticket.

// Lower case, as ids stand in rows and paths.
const id = z.uuid().toLowerCase();
const bytes = z.int().nonnegative();
const time = z.iso.datetime();
const ip = z.union([z.ipv4(), z.ipv6()]);
// A ticket (JWT) or a handle (43 characters).
const ticket = z.string().min(1).max(maxTicketCharacters);

/** `POST /api/gateway/connections`: redeems a ticket, which makes one connection of its session. */
export const redeemRequestShape = z.strictObject({
  ticket,
  /** The gateway process; new at each start. */
  instance: id,
  /** Drawn for each redemption and repeated when the gateway tries again, so that a lost answer does not spend the ticket. */
  nonce: id,
  /** The address that the client connected from, as the gateway saw it. */
  clientIp: ip.exactOptional(),
});

export type RedeemRequest = z.infer<typeof redeemRequestShape>;

// Answers may gain members that an older gateway drops. Terms stay strict: one that a gateway does not know refuses.

/** The connection that the broker grants: the only host and port that the gateway may dial for it. */
export const redeemAnswerShape = z
  .object({
    connection: id,
    session: id,
    /** Whose session it is, so that a gateway can count connections by caller. */
    caller: z.string().min(1),
    protocol: z.enum(protocols),
    host: ip,
    port: z.int().min(1).max(65_535),
    deadline: time,
    terms: termsShape,
    leaseSeconds: z.number().positive(),
    graceSeconds: z.number().positive(),
    /**
     * What the session had carried, as last reported: over other connections of this gateway process, and over those of
     * all others. There when its bytes are limited.
     */
    bytesBefore: z.object({ here: bytes, elsewhere: bytes }).exactOptional(),
  })
  // A limit that nobody counts against would be none.
  .refine(({ terms, bytesBefore }) => terms.maxBytes === undefined || bytesBefore !== undefined, {
    path: ['bytesBefore'],
  });

export type RedeemAnswer = z.infer<typeof redeemAnswerShape>;

/** `POST /api/gateway/leases`: renews the leases of all connections of one gateway process. */
export const leaseRequestShape = z.strictObject({
  instance: id,
  /** The `cursor` of the last answer; absent at first. */
  cursor: z.string().max(200).exactOptional(),
  connections: z
    .array(z.strictObject({ connection: id, session: id, bytesUp: bytes, bytesDown: bytes }))
    .max(10_000),
});

export type LeaseRequest = z.infer<typeof leaseRequestShape>;

/** What has changed, and what is to be done. A connection that is not named goes on until its deadline. */
export const leaseAnswerShape = z.object({
  cursor: z.string(),
  /** The broker's clock, so that a gateway sees when its own is off. */
  now: time,
  verdicts: z.array(
    z.discriminatedUnion('verdict', [
      z.object({
        connection: id,
        verdict: z.literal('close'),
        reason: z.enum(closeReasons).exclude(['gateway-lost']),
      }),
      z.object({ connection: id, verdict: z.literal('deadline'), deadline: time }),
    ]),
  ),
  /** Of each byte-limited session with a connection here: what those of all other gateway processes have carried. */
  bytesElsewhere: z.array(z.object({ session: id, bytes })).default([]),
  /** Signed orders of probes. One may come with several leases. */
  probes: z.array(z.string()).default([]),
});

export type LeaseAnswer = z.infer<typeof leaseAnswerShape>;

/** `POST /api/gateway/connections/{id}/close`: reports how a connection ended. Safe to repeat; answered with 204. */
export const closeRequestShape = z.strictObject({
  instance: id,
  session: id,
  reason: z.enum(closeReasons).exclude(['gateway-lost']),
  /** Client to target, payload only. */
  bytesUp: bytes,
  /** Target to client, payload only. */
  bytesDown: bytes,
  durationMilliseconds: z.int().nonnegative(),
});

export type CloseRequest = z.infer<typeof closeRequestShape>;

/** `POST /api/gateway/probes`: reports what a probe found. Safe to repeat; answered with 204. */
export const probeReportShape = z.strictObject({
  instance: id,
  session: id,
  /** The id of the order. */
  probe: id,
  outcome: z.enum(probeOutcomes),
});

export type ProbeReport = z.infer<typeof probeReportShape>;

/** `POST /api/gateway/leaks`: reports a ticket that came in a URL, which spends it. Safe to repeat; answered with 204. */
export const leakReportShape = z.strictObject({
  instance: id,
  ticket,
  clientIp: ip.exactOptional(),
});

export type LeakReport = z.infer<typeof leakReportShape>;
