import type { KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { AuditFault } from './audit-verify-fault.ts';
import { isBase64url } from './base64url.ts';
import { toCanonicalJson } from './canonical-json.ts';
import { verifyEndorsement } from './endorsement.ts';
import type { TrustedRoots } from './root-key.ts';
import { publicJwkShape, toKid } from './root-key.ts';

/** What is said of a chain before its first entry, as it is stored. */
export type Announcement = {
  readonly chain: string;
  readonly writer: string;
  readonly version: string;
  readonly key: string;
  readonly endorsement: string;
};

/** The key of a chain, and the time within which it may have signed, in milliseconds since the epoch. */
export type ChainKey = {
  readonly kid: string;
  readonly key: KeyObject;
  readonly from: number;
  readonly until: number;
};

/** Whose word counts: the root keys, and the broker that they must speak of. */
export type ChainTrust = { readonly roots: TrustedRoots; readonly issuer: string };

const chainPattern = /^\d{8}-[0-9a-f]{16}$/;

const validityShape = z.object({ nbf: z.int() });

/** Returns the key of a chain, or what is wrong with its announcement. */
export function readChainKey(announced: Announcement, trust: ChainTrust): ChainKey | AuditFault {
  const { chain } = announced;
  try {
    if (!chainPattern.test(chain)) throw new Error('its id is not one of a chain');
    return findKey(announced, trust);
  } catch (failure) {
    const detail = `Chain ${chain} has no key that a trusted root key vouches for: ${toReason(failure)}.`;
    return { code: 'chain-untrusted', chain, detail };
  }
}

function findKey({ key, endorsement }: Announcement, { roots, issuer }: ChainTrust): ChainKey {
  if (!endorsement.split('.').every(isBase64url)) throw new Error('its endorsement is malformed');
  const jwk = publicJwkShape.parse(JSON.parse(key));
  if (toCanonicalJson(jwk) !== key) throw new Error('its key is malformed');
  const { nbf } = validityShape.parse(jwt.decode(endorsement));
  const from = nbf * 1000;
  // Whether it has expired by now is of no interest: what it vouches for was written within its time.
  const endorsed = verifyEndorsement(endorsement, roots, new Date(from), 0);
  if (endorsed.kid !== toKid(jwk)) throw new Error('its endorsement is of another key');
  if (endorsed.issuer !== issuer) throw new Error('its endorsement is of another broker');
  return { kid: endorsed.kid, key: endorsed.key, from, until: endorsed.expiresAt.getTime() };
}

function toReason(failure: unknown): string {
  const isMalformed = failure instanceof z.ZodError || failure instanceof SyntaxError;
  return isMalformed || !(failure instanceof Error) ? 'they are malformed' : failure.message;
}
