import * as z from 'zod';
import type { TokenKind, TokenVerifier } from './endorsed-token.ts';
import { commonClaims, signToken, toSeconds, toTime, verifyToken } from './endorsed-token.ts';
import type { SigningKey } from './endorsement.ts';

/** How long the order of a probe is good for, in seconds: several leases, so that a gateway that was busy sees it too. */
export const probeSeconds = 60;

/** What a gateway found: the port took a connection, refused it, or did not answer. */
export const probeOutcomes = ['open', 'refused', 'timeout'] as const;

export type ProbeOutcome = (typeof probeOutcomes)[number];

const claimsShape = z.strictObject({
  ...commonClaims,
  session: z.string(),
  host: z.string(),
  port: z.int().min(1).max(65_535),
});

const kind: TokenKind<z.infer<typeof claimsShape>> = {
  type: 'sallyport-probe+jwt',
  shape: claimsShape,
};

/**
 * The order to see whether a port takes connections, for a session that is being made ready. It carries no byte to the
 * target and lets nobody in.
 */
export type Probe = {
  /** The order's own id (`jti`), which the report names. */
  readonly id: string;
  readonly session: string;
  readonly gateway: string;
  readonly host: string;
  readonly port: number;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
};

/** Returns the signed order, so that a gateway dials nothing that no broker has signed. */
export function signProbe(probe: Probe, issuer: string, key: SigningKey): string {
  const { id, session, gateway, host, port } = probe;
  const issuedAt = toSeconds(probe.issuedAt);
  const times = { iat: issuedAt, nbf: issuedAt, exp: toSeconds(probe.expiresAt) };
  return signToken(
    kind,
    { iss: issuer, aud: gateway, jti: id, ...times, session, host, port },
    key,
  );
}

/** Returns what is ordered, or throws: a ticket is no probe, and a probe no ticket. */
export function verifyProbe(token: string, verifier: TokenVerifier, now: Date): Probe {
  const { claims } = verifyToken(kind, token, verifier, now);
  const { jti, session, aud, host, port, iat, exp } = claims;
  return {
    id: jti,
    session,
    gateway: aud,
    host,
    port,
    issuedAt: toTime(iat),
    expiresAt: toTime(exp),
  };
}
