import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { TokenKind } from './endorsed-token.ts';
import { commonClaims, signToken, toSeconds, toTime, verifyToken } from './endorsed-token.ts';
import { BrokerError } from './failure.ts';
import type { DayPlace } from './feed-place.ts';
import { dayPlaceShape } from './feed-place.ts';

/** How long a cursor is good for, in seconds: a reader may be down for so long. */
const cursorSeconds = 90 * 86_400;

const skewSeconds = 60;

const claimsShape = z.strictObject({
  ...commonClaims,
  sub: z.string(),
  days: z.array(dayPlaceShape).min(1),
});

type Claims = z.infer<typeof claimsShape>;

const kind: TokenKind<Claims> = {
  type: 'sallyport-feed+jwt',
  shape: claimsShape,
  maxSeconds: cursorSeconds,
};

const audience = 'audit-feed';

type Ports = Pick<Broker, 'keys' | 'url' | 'now' | 'newId'>;

/**
 * Returns a cursor that says how far a caller has read. Every process of this broker can read it, for this caller alone,
 * and nobody can make or change one.
 */
export async function signCursor(
  { keys, url, now, newId }: Ports,
  caller: string,
  days: readonly DayPlace[],
): Promise<string> {
  const issuedAt = toSeconds(now());
  const claims: Claims = {
    iss: url.origin,
    aud: audience,
    sub: caller,
    jti: newId(),
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + cursorSeconds,
    days: [...days],
  };
  return signToken(kind, claims, await keys.current());
}

/**
 * Returns what a cursor says, or fails: with `continuation-expired` when it is too old, and otherwise with
 * `continuation-invalid` and one message for every reason.
 */
export function readCursor(
  { keys, url, now }: Omit<Ports, 'newId'>,
  caller: string,
  cursor: string,
): readonly DayPlace[] {
  const claims = verifyCursor({ keys, url, now }, caller, cursor);
  if (toSeconds(now()) < claims.exp) return claims.days;
  throw new BrokerError('continuation-expired', 'The cursor is too old: begin again, with from.');
}

function verifyCursor(
  { keys, url, now }: Omit<Ports, 'newId'>,
  caller: string,
  cursor: string,
): Claims {
  const verifier = { roots: keys.roots, issuer: url.origin, gateway: audience };
  try {
    const issuedAt = z.object({ iat: z.int() }).parse(jwt.decode(cursor)).iat;
    if (toSeconds(now()) + skewSeconds < issuedAt) throw new Error('the cursor is from the future');
    // As of when it was signed: the key that signed it lives for a day, and a reader may be down for longer.
    const { claims } = verifyToken(kind, cursor, verifier, toTime(issuedAt));
    if (claims.sub !== caller) throw new Error('the cursor is of another caller');
    return claims;
  } catch (cause) {
    const message = 'Go on with the cursor of the answer before, unchanged, as its caller.';
    throw new BrokerError('continuation-invalid', message, { cause });
  }
}
