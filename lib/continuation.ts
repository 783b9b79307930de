import { createHash } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import { isBase64url } from './base64url.ts';
import type { Broker } from './broker.ts';
import { toCanonicalJson } from './canonical-json.ts';
import type { TokenKind } from './endorsed-token.ts';
import { commonClaims, signToken, toSeconds, verifyToken } from './endorsed-token.ts';
import { BrokerError } from './failure.ts';

/** How long a list may be gone on with after a page of it, in seconds. */
export const continuationSeconds = 3600;

/** Whose list is gone on with, which one, and what was asked of it. */
export type Listing = {
  readonly list: string;
  readonly caller: string;
  readonly query: Readonly<Record<string, unknown>>;
};

const claimsShape = z.strictObject({
  ...commonClaims,
  sub: z.string(),
  /** The digest of the query. */
  query: z.string(),
  at: z.unknown(),
});

type Claims = z.infer<typeof claimsShape>;

const kind: TokenKind<Claims> = {
  type: 'sallyport-continuation+jwt',
  shape: claimsShape,
  maxSeconds: continuationSeconds,
};

type Ports = Pick<Broker, 'keys' | 'url' | 'now' | 'newId'>;

/**
 * Returns a token that says where the next page of a list begins. Every process of this broker can read it, for this
 * caller and this query alone, and nobody can make or change one. It hides nothing: the position can be read.
 */
export async function signContinuation(
  { keys, url, now, newId }: Ports,
  { list, caller, query }: Listing,
  at: unknown,
): Promise<string> {
  const key = await keys.current();
  const issuedAt = toSeconds(now());
  const claims: Claims = {
    iss: url.origin,
    aud: list,
    sub: caller,
    jti: newId(),
    iat: issuedAt,
    nbf: issuedAt,
    exp: issuedAt + continuationSeconds,
    query: toDigest(query),
    at,
  };
  return signToken(kind, claims, key);
}

/**
 * Returns the position that a token holds, or fails: with `continuation-expired` when it is too old, and otherwise with
 * `continuation-invalid` and one message for every reason.
 */
export async function readContinuation<T>(
  { keys, url, now }: Ports,
  { list, caller, query }: Listing,
  token: string,
  shape: z.ZodType<T>,
): Promise<T> {
  try {
    if (!token.split('.').every(isBase64url)) throw new Error('the continuation is malformed');
    const verifier = { roots: keys.roots, issuer: url.origin, gateway: list };
    const { claims, kid } = verifyToken(kind, token, verifier, now());
    if (claims.sub !== caller) throw new Error('the continuation is of another caller');
    if (claims.query !== toDigest(query)) throw new Error('the continuation is of another query');
    if (!(await keys.isListed(kid))) throw new Error('the key of the continuation is not listed');
    return shape.parse(claims.at);
  } catch (cause) {
    // A table that does not answer is not the fault of the token.
    if (cause instanceof BrokerError) throw cause;
    if (cause instanceof jwt.TokenExpiredError)
      throw new BrokerError('continuation-expired', 'Ask for the first page again.', { cause });
    const message = 'Go on with the link or token of the page before, unchanged, as its caller.';
    throw new BrokerError('continuation-invalid', message, { cause });
  }
}

function toDigest(query: Listing['query']): string {
  return createHash('sha256').update(toCanonicalJson(query)).digest('base64url');
}
