import type { JsonWebKey, KeyObject } from 'node:crypto';
import { createHash, createPublicKey } from 'node:crypto';
import * as z from 'zod';

/** The public half of an EC P-256 key (RFC 7518, section 6.2.1). */
export const publicJwkShape = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string().regex(/^[\w-]{43}$/),
  y: z.string().regex(/^[\w-]{43}$/),
});

export type PublicJwk = z.infer<typeof publicJwkShape>;

/**
 * The key that vouches for all others. It signs endorsements and checkpoints and nothing else, and lives in Key Vault,
 * or in a file in local mode.
 */
export type RootKey = {
  readonly kid: string;
  readonly publicJwk: PublicJwk;
  /** Signs with ES256 and returns raw r||s (RFC 7518, section 3.4). Fails with `keys-unavailable`. */
  readonly sign: (data: Buffer) => Promise<Buffer>;
};

/** The root keys that a verifier trusts, by key id: the current one, and the next or the last while they rotate. */
export type TrustedRoots = ReadonlyMap<string, KeyObject>;

/** Returns the thumbprint of a key (RFC 7638), which is its key id everywhere in Sallyport. */
export function toKid(jwk: PublicJwk): string {
  const members = { crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y };
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}

/** Returns the public half of a key as a JWK, or throws when it is not EC P-256. */
export function toPublicJwk(key: KeyObject): PublicJwk {
  const { kty, crv, x, y }: JsonWebKey = key.export({ format: 'jwk' });
  return publicJwkShape.parse({ kty, crv, x, y });
}

/** Returns the trusted roots for a list of public keys. */
export function toTrustedRoots(jwks: readonly PublicJwk[]): TrustedRoots {
  return new Map(
    jwks.map((jwk) => [toKid(jwk), createPublicKey({ key: jwk, format: 'jwk' })] as const),
  );
}
