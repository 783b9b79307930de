import type { KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import { verifyEndorsement } from './endorsement.ts';
import { BrokerError } from './failure.ts';
import type { TrustedRoots } from './root-key.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

/** How long a ticket is good for, in seconds. */
export const ticketSeconds = 60;

/** A ticket that claims to live longer is refused, whoever signed it. */
const maxTicketSeconds = 90;

/** How far the clocks of broker and gateway may differ, in seconds. */
const skewSeconds = 5;

// One algorithm, fixed here: a verifier that believes the token's own `alg`
// lets the attacker choose it (RFC 8725, section 3.1).
const algorithm: jwt.Algorithm = 'ES256';

// A type of its own keeps a ticket from passing for any other token (RFC 8725, section 3.11).
const ticketType = 'sallyport-ticket+jwt';

// Strict, so that `crit` and every header that asks for a key from elsewhere (`jku`, `x5u`, `jwk`) are refused.
const headerShape = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(ticketType),
  kid: z.string(),
  endorsement: z.string(),
});

const payloadShape = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z.string(),
  jti: z.string(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
  session: z.string(),
  target: z.string(),
  protocol: z.enum(protocols),
  host: z.string(),
  port: z.int().min(1).max(65_535),
  deadline: z.int(),
  terms: termsShape,
  policy: z.string(),
});

/** What a ticket permits: one connection of one session, to one host and port, through one gateway. */
export type Permission = {
  /** The ticket's own id (`jti`), under which it is spent. */
  readonly ticket: string;
  readonly session: string;
  readonly caller: string;
  readonly gateway: string;
  readonly target: string;
  readonly protocol: (typeof protocols)[number];
  readonly host: string;
  readonly port: number;
  /** When the session ends. */
  readonly deadline: Date;
  readonly terms: z.infer<typeof termsShape>;
  /** The digest of the policy set that allowed it. */
  readonly policy: string;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
};

/** The key of a broker process, with the endorsement that lets others trust it. */
export type SigningKey = {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly endorsement: string;
};

/** A ticket is looked at by one broker's tickets for one gateway, under the roots that the verifier trusts. */
export type TicketVerifier = {
  readonly roots: TrustedRoots;
  /** The public URL of the broker. */
  readonly issuer: string;
  readonly gateway: string;
};

/** Returns the signed ticket (RFC 7519, ES256). The endorsement travels in its header, so that a gateway needs no key server. */
export function signTicket(permission: Permission, issuer: string, key: SigningKey): string {
  const payload: z.infer<typeof payloadShape> = {
    iss: issuer,
    aud: permission.gateway,
    sub: permission.caller,
    jti: permission.ticket,
    iat: toSeconds(permission.issuedAt),
    nbf: toSeconds(permission.issuedAt),
    exp: toSeconds(permission.expiresAt),
    session: permission.session,
    target: permission.target,
    protocol: permission.protocol,
    host: permission.host,
    port: permission.port,
    deadline: toSeconds(permission.deadline),
    terms: permission.terms,
    policy: permission.policy,
  };
  const header: jwt.JwtHeader & { endorsement: string } = {
    alg: algorithm,
    typ: ticketType,
    kid: key.kid,
    endorsement: key.endorsement,
  };
  return jwt.sign(payload, key.privateKey, { algorithm, header });
}

/**
 * Returns what the ticket permits and the id of the key that signed it, or fails with `ticket-invalid` and one message
 * for every reason, so that a forger learns nothing.
 */
export function verifyTicket(
  ticket: string,
  verifier: TicketVerifier,
  now: Date,
): { readonly permission: Permission; readonly kid: string } {
  try {
    return readTicket(ticket, verifier, now);
  } catch (cause) {
    throw new BrokerError('ticket-invalid', 'Ask for a new ticket of this session.', { cause });
  }
}

function readTicket(
  ticket: string,
  verifier: TicketVerifier,
  now: Date,
): { readonly permission: Permission; readonly kid: string } {
  const header = headerShape.parse(jwt.decode(ticket, { complete: true })?.header);
  const endorsed = verifyEndorsement(header.endorsement, verifier.roots, now, skewSeconds);
  if (endorsed.kid !== header.kid) throw new Error('the endorsement is of another key');
  if (endorsed.issuer !== verifier.issuer) throw new Error('the endorsement is of another broker');
  const options = {
    algorithms: [algorithm],
    audience: verifier.gateway,
    issuer: verifier.issuer,
    clockTimestamp: toSeconds(now),
    clockTolerance: skewSeconds,
  };
  const payload = payloadShape.parse(jwt.verify(ticket, endorsed.key, options));
  if (payload.exp - payload.iat > maxTicketSeconds) throw new Error('the ticket lives too long');
  if (payload.iat > options.clockTimestamp + skewSeconds)
    throw new Error('the ticket is from the future');
  return { permission: toPermission(payload), kid: header.kid };
}

function toPermission(payload: z.infer<typeof payloadShape>): Permission {
  return {
    ticket: payload.jti,
    session: payload.session,
    caller: payload.sub,
    gateway: payload.aud,
    target: payload.target,
    protocol: payload.protocol,
    host: payload.host,
    port: payload.port,
    deadline: toDate(payload.deadline),
    terms: payload.terms,
    policy: payload.policy,
    issuedAt: toDate(payload.iat),
    expiresAt: toDate(payload.exp),
  };
}

function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function toDate(seconds: number): Date {
  return new Date(seconds * 1000);
}
