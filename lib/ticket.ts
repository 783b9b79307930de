import * as z from 'zod';
import type { TokenKind, TokenVerifier } from './endorsed-token.ts';
import { commonClaims, signToken, toSeconds, toTime, verifyToken } from './endorsed-token.ts';
import type { SigningKey } from './endorsement.ts';
import { BrokerError } from './failure.ts';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

/** How long a ticket is good for, in seconds. */
export const ticketSeconds = 60;

/** The length of the longest ticket that is signed, with room to spare: its terms may name a hundred networks. */
export const maxTicketCharacters = 12_288;

const claimsShape = z.strictObject({
  ...commonClaims,
  sub: z.string(),
  session: z.string(),
  target: z.string(),
  protocol: z.enum(protocols),
  host: z.string(),
  port: z.int().min(1).max(65_535),
  deadline: z.int(),
  terms: termsShape,
  policy: z.string(),
});

type Claims = z.infer<typeof claimsShape>;

const kind: TokenKind<Claims> = { type: 'sallyport-ticket+jwt', shape: claimsShape };

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

/** Returns the signed ticket. */
export function signTicket(permission: Permission, issuer: string, key: SigningKey): string {
  const claims: Claims = {
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
  return signToken(kind, claims, key);
}

/**
 * Returns what the ticket permits and the id of the key that signed it, or fails with `ticket-invalid` and one message
 * for every reason, so that a forger learns nothing.
 */
export function verifyTicket(
  ticket: string,
  verifier: TokenVerifier,
  now: Date,
): { readonly permission: Permission; readonly kid: string } {
  try {
    const { claims, kid } = verifyToken(kind, ticket, verifier, now);
    return { permission: toPermission(claims), kid };
  } catch (cause) {
    throw new BrokerError('ticket-invalid', 'Ask for a new ticket of this session.', { cause });
  }
}

function toPermission(claims: Claims): Permission {
  return {
    ticket: claims.jti,
    session: claims.session,
    caller: claims.sub,
    gateway: claims.aud,
    target: claims.target,
    protocol: claims.protocol,
    host: claims.host,
    port: claims.port,
    deadline: toTime(claims.deadline),
    terms: claims.terms,
    policy: claims.policy,
    issuedAt: toTime(claims.iat),
    expiresAt: toTime(claims.exp),
  };
}
