import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { SigningKey } from './endorsement.ts';
import { verifyEndorsement } from './endorsement.ts';
import type { TrustedRoots } from './root-key.ts';

// What a broker signs for a gateway: a ticket, or the order of a probe. The endorsement of the key travels in the header,
// so that a gateway needs no key server.

/** A token that claims to live longer is refused, whoever signed it, unless its kind says otherwise. */
const usualMaxSeconds = 90;

/** How far the clocks of broker and gateway may differ, in seconds. */
const skewSeconds = 5;

// One algorithm, fixed here: a verifier that believes the token's own `alg`
// lets the attacker choose it (RFC 8725, section 3.1).
const algorithm: jwt.Algorithm = 'ES256';

// Strict, so that `crit` and every header that asks for a key from elsewhere (`jku`, `x5u`, `jwk`) are refused.
const headerShape = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.string(),
  kid: z.string(),
  endorsement: z.string(),
});

/** The claims of every kind of token; each adds its own and lets no other pass. */
export const commonClaims = {
  iss: z.string(),
  aud: z.string(),
  jti: z.string(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
} as const;

type CommonClaims = z.infer<z.ZodObject<typeof commonClaims>>;

/** A kind of token. Its `typ` keeps it from passing for any other (RFC 8725, section 3.11). */
export type TokenKind<Claims extends CommonClaims> = {
  readonly type: string;
  readonly shape: z.ZodType<Claims>;
  /** How long one may live; 90 s when absent. */
  readonly maxSeconds?: number;
};

/** A verifier takes the tokens of one broker for one gateway, under the roots that it trusts. */
export type TokenVerifier = {
  readonly roots: TrustedRoots;
  /** The public URL of the broker. */
  readonly issuer: string;
  readonly gateway: string;
};

/** Returns the signed token (RFC 7519, ES256). */
export function signToken<Claims extends CommonClaims>(
  { type }: TokenKind<Claims>,
  claims: Claims,
  { kid, endorsement, privateKey }: SigningKey,
): string {
  const header: jwt.JwtHeader & { endorsement: string } = {
    alg: algorithm,
    typ: type,
    kid,
    endorsement,
  };
  return jwt.sign(claims, privateKey, { algorithm, header });
}

/** Returns the claims of a token of this kind and the id of the key that signed it, or throws and says why. */
export function verifyToken<Claims extends CommonClaims>(
  { type, shape, maxSeconds = usualMaxSeconds }: TokenKind<Claims>,
  token: string,
  verifier: TokenVerifier,
  now: Date,
): { readonly claims: Claims; readonly kid: string } {
  const header = headerShape.parse(jwt.decode(token, { complete: true })?.header);
  if (header.typ !== type) throw new Error('the token is of another type');
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
  const claims = shape.parse(jwt.verify(token, endorsed.key, options));
  if (claims.exp - claims.iat > maxSeconds) throw new Error('the token lives too long');
  if (claims.iat > options.clockTimestamp + skewSeconds)
    throw new Error('the token is from the future');
  return { claims, kid: header.kid };
}

/** Returns a time as tokens carry it: whole seconds since the epoch. */
export function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

/** Returns the time that a token carries. */
export function toTime(seconds: number): Date {
  return new Date(seconds * 1000);
}
