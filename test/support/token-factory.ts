import type { KeyObject } from 'node:crypto';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { CompactSign } from 'jose';
import type { FetchJson } from '../../lib/fetch-json.ts';
import { createIdentify } from '../../lib/identity.ts';
import type { TrustedIssuer } from '../../lib/trusted-issuer.ts';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import claimSets from '../data/entra/claims.json' with { type: 'json' };

export type Claims = Readonly<Record<string, unknown>>;

/** A key pair as an issuer holds it. */
export type TokenKey = {
  readonly kid: string;
  readonly algorithm: 'RS256' | 'ES256';
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: Claims;
};

/** Claims as Entra writes them (`test/data/entra`), and the tenant, audience and scope that they are for. */
export const entraClaims = claimSets;
export const tenant = '9b7b0000-0000-4000-8000-0000000000bb';
export const clientId = 'b0000000-0000-4000-8000-0000000000a1';
export const entraUrl = `https://login.microsoftonline.com/${tenant}/v2.0`;

/** Ten minutes after those tokens were issued. */
export const noon = new Date((claimSets['v2-user'].iat + 600) * 1000);

/** The tenant of the claim sets, as an operator would trust it. */
export const entraIssuers = parseTrustedIssuers([
  {
    kind: 'entra',
    tenant,
    audience: [clientId, `api://${clientId}`],
    people: { scope: 'Sessions.Request' },
  },
]);

export function createTokenKey(algorithm: 'RS256' | 'ES256' = 'ES256'): TokenKey {
  const { privateKey, publicKey } =
    algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const members = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha1').update(JSON.stringify(members)).digest('base64url');
  return { kid, algorithm, privateKey, publicKey, jwk: { ...members, kid, use: 'sig' } };
}

/** Signs claims with jose, which shares no code with what verifies them. */
export async function signToken(
  key: TokenKey,
  claims: Claims,
  header: Claims = {},
): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: key.algorithm, typ: 'JWT', kid: key.kid, ...header })
    .sign(key.privateKey);
}

/** Signs any two texts: what jose would refuse to make. */
export function signParts(key: TokenKey, header: string, payload: string): string {
  const signed = `${toPart(header)}.${toPart(payload)}`;
  const signature = sign('sha256', Buffer.from(signed), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}

export function toPart(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** An issuer in memory. What it publishes may be changed at any time; `reads` counts how often its keys were read. */
export class TestIssuer {
  readonly url: string;
  keys: readonly unknown[];
  metadata: unknown;
  /** Every read fails with it while it is there. */
  outage: Error | undefined;
  /** Every read waits for it. */
  held: Promise<void> = Promise.resolve();
  reads = 0;
  readonly fetched: string[] = [];

  constructor(url: string, keys: readonly unknown[]) {
    this.url = url;
    this.keys = keys;
    this.metadata = { issuer: url, jwks_uri: `${url}/keys` };
  }

  readonly fetchJson: FetchJson = async (url, signal) => {
    signal.throwIfAborted();
    this.fetched.push(url.href);
    await this.held;
    if (this.outage !== undefined) throw this.outage;
    if (url.pathname.endsWith('/.well-known/openid-configuration')) return this.metadata;
    this.reads += 1;
    return { keys: this.keys };
  };
}

/** Returns `identify` with these issuers and a clock that the test turns. */
export function createTestIdentify(
  issuers: readonly TrustedIssuer[],
  fetchJson: FetchJson,
  clock: { readonly now: Date } = { now: noon },
): ReturnType<typeof createIdentify> {
  return createIdentify({ issuers, fetchJson, now: () => clock.now, log: () => {} });
}
