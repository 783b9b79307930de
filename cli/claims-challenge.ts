import * as z from 'zod';
import type { HttpReply } from './http.ts';
import { parseJson } from './json.ts';

const claimsShape = z.object({ access_token: z.record(z.string(), z.unknown()) });

/** Claims that are asked for in an access token (OpenID Connect Core 1.0, section 5.5). */
export type ClaimsRequest = z.infer<typeof claimsShape>;

/** What the broker says to a token that is good, but not good enough. */
export type Challenge = {
  /** The token that was not good enough. */
  readonly token: string;
  /** What a better one must hold. */
  readonly claims: ClaimsRequest;
  /** The claims as they came, in base64, which `az` takes. */
  readonly encoded: string;
};

/** Returns a token for the broker that is good now or, for a challenge, one that was issued for its claims. */
export type GetToken = (challenge?: Challenge) => Promise<string>;

// Ours have 80 characters; the bound is on what a broker can make us send to the issuer.
const maxEncoded = 4096;

/**
 * Returns the claims challenge of an answer to this token, or undefined where there is none. The answer must be the
 * broker's own: `Http` takes one from an encrypted connection or from this machine only.
 */
export function findChallenge(
  reply: Pick<HttpReply, 'status' | 'headers'>,
  token: string,
): Challenge | undefined {
  const header = reply.headers['www-authenticate'] ?? '';
  if (reply.status !== 401 || !/\berror="insufficient_claims"/.test(header)) return undefined;
  const encoded = /\bclaims="(?<claims>[A-Za-z0-9+/=]+)"/.exec(header)?.groups?.['claims'];
  if (encoded === undefined || maxEncoded < encoded.length) return undefined;
  const decoded = parseJson(Buffer.from(encoded, 'base64').toString('utf8'));
  const parsed = claimsShape.safeParse(decoded);
  return parsed.success ? { token, claims: parsed.data, encoded } : undefined;
}

/**
 * Returns the `claims` parameter of a sign-in: what is asked for, and that this client answers challenges (`cp1`),
 * without which nobody sends it any.
 */
export function formatClaims(claims?: ClaimsRequest): string {
  const capability = { xms_cc: { values: ['cp1'] } };
  return JSON.stringify({ access_token: { ...claims?.access_token, ...capability } });
}
