import type { JsonWebKey, KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import * as z from 'zod';
import type { FetchJson } from './fetch-json.ts';
import { isSecureUrl } from './trusted-issuer.ts';

/** How long metadata and keys may take together. */
const fetchSeconds = 5;

const minRsaBits = 2048;

const metadataShape = z.object({ issuer: z.string(), jwks_uri: z.string() });

const absent = z.never().optional();

const members = {
  kid: z.string().min(1),
  use: z.literal('sig').optional(),
  issuer: z.string().optional(),
  // A key whose private half is published is anybody's.
  d: absent,
  p: absent,
  q: absent,
  dp: absent,
  dq: absent,
  qi: absent,
};

// The algorithm follows from the type of the key; `x5c` and the rest are not looked at.
const jwkShape = z.discriminatedUnion('kty', [
  z.object({
    ...members,
    kty: z.literal('RSA'),
    alg: z.literal('RS256').default('RS256'),
    n: z.string(),
    e: z.string(),
  }),
  z.object({
    ...members,
    kty: z.literal('EC'),
    alg: z.literal('ES256').default('ES256'),
    crv: z.literal('P-256'),
    x: z.string(),
    y: z.string(),
  }),
]);

const jwksShape = z.object({ keys: z.array(z.unknown()) });

/** Whose keys: the issuer as its metadata names it, and the tenant that `{tenantid}` stands for at Entra. */
export type KeySource = { readonly issuer: string; readonly tenant?: string };

/** A public key of an issuer, and the one algorithm it is for. */
export type IssuerKey = { readonly key: KeyObject; readonly algorithm: 'RS256' | 'ES256' };

/**
 * Reads the keys of an issuer by their ids (OpenID Connect Discovery 1.0, section 4; RFC 7517). Keys that we would not
 * trust are left out; fails when none is left or when the metadata is not that of the issuer.
 */
export async function readIssuerKeys(
  source: KeySource,
  fetchJson: FetchJson,
): Promise<ReadonlyMap<string, IssuerKey>> {
  const signal = AbortSignal.timeout(fetchSeconds * 1000);
  const metadata = metadataShape.parse(await fetchJson(toMetadataUrl(source.issuer), signal));
  if (metadata.issuer !== source.issuer) throw new Error('the metadata is of another issuer');
  const jwksUrl = new URL(metadata.jwks_uri);
  if (!isSecureUrl(jwksUrl)) throw new Error('the keys are not served over https');
  const { keys } = jwksShape.parse(await fetchJson(jwksUrl, signal));
  const trusted = keys.flatMap((jwk) => readKey(jwk, source));
  if (trusted.length === 0) throw new Error('the issuer has no key that can be trusted');
  return new Map(trusted);
}

function toMetadataUrl(issuer: string): URL {
  return new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
}

function readKey(value: unknown, source: KeySource): readonly (readonly [string, IssuerKey])[] {
  const parsed = jwkShape.safeParse(value);
  if (!parsed.success || !isOf(parsed.data.issuer, source)) return [];
  try {
    const { kid, alg: algorithm } = parsed.data;
    const key = createPublicKey({ key: toPublicMembers(parsed.data), format: 'jwk' });
    return isStrong(key) ? [[kid, { key, algorithm }]] : [];
  } catch {
    return [];
  }
}

function toPublicMembers(jwk: z.infer<typeof jwkShape>): JsonWebKey {
  const { kty } = jwk;
  return kty === 'RSA' ? { kty, n: jwk.n, e: jwk.e } : { kty, crv: jwk.crv, x: jwk.x, y: jwk.y };
}

// Entra marks the keys that are for some tenants only; those of all tenants say `{tenantid}`.
function isOf(keyIssuer: string | undefined, { issuer, tenant = '' }: KeySource): boolean {
  return keyIssuer === undefined || keyIssuer.replace('{tenantid}', tenant) === issuer;
}

function isStrong(key: KeyObject): boolean {
  const { modulusLength } = key.asymmetricKeyDetails ?? {};
  return modulusLength === undefined || modulusLength >= minRsaBits;
}
