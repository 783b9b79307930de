import type { KeyObject } from 'node:crypto';
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { TokenVerifier } from '../../lib/endorsed-token.ts';
import type { SigningKey } from '../../lib/endorsement.ts';
import { signEndorsement } from '../../lib/endorsement.ts';
import type { PublicJwk, RootKey, TrustedRoots } from '../../lib/root-key.ts';
import { toKid, toPublicJwk, toTrustedRoots } from '../../lib/root-key.ts';
import type { Permission } from '../../lib/ticket.ts';
import { signTicket } from '../../lib/ticket.ts';
import { testRoot } from './test-broker.ts';

export const now = new Date('2026-03-02T12:00:00Z');
export const issuer = 'https://broker.test';

/** Returns the time so many seconds from `now`. */
export function after(seconds: number): Date {
  return new Date(now.getTime() + seconds * 1000);
}

export const permission: Permission = {
  ticket: '00000000-0000-4000-8000-000000000001',
  session: '00000000-0000-4000-8000-000000000002',
  caller: '9b7b0000-0000-4000-8000-0000000000bb.ada',
  gateway: 'hub',
  target: '11111111-1111-4111-8111-111111111111',
  protocol: 'ssh',
  host: '10.0.0.4',
  port: 22,
  deadline: after(3600),
  terms: { maxConnections: 4 },
  policy: 'digest',
  issuedAt: now,
  expiresAt: after(60),
};

export type Part = Readonly<Record<string, unknown>>;

/** A key pair and what vouches for it. */
type Signer = SigningKey & { readonly jwk: PublicJwk };

/** A broker's keys, and everything that a forger may have got hold of. */
export type Forge = {
  readonly root: RootKey;
  readonly roots: TrustedRoots;
  readonly verifier: TokenVerifier;
  readonly signer: Signer;
  /** Makes a key that a root key endorses, by default for an hour around `now` and for this broker. */
  readonly endorse: (changes?: Partial<Endorsed>) => Promise<Signer>;
  /** Returns a good ticket with other header members and claims, signed again with the broker's key or the one given. */
  readonly forgeTicket: (header: Part, payload: Part, key?: KeyObject) => string;
};

type Endorsed = {
  readonly root: RootKey;
  readonly issuer: string;
  readonly from: Date;
  readonly until: Date;
};

export async function openForge(): Promise<Forge> {
  const root = testRoot();
  const roots = toTrustedRoots([root.publicJwk]);
  const endorse = async (changes: Partial<Endorsed> = {}): Promise<Signer> => {
    const endorsed = { root, issuer, from: after(-1800), until: after(1800), ...changes };
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = toPublicJwk(publicKey);
    const { from, until } = endorsed;
    const endorsement = await signEndorsement(
      endorsed.root,
      { jwk, issuer: endorsed.issuer },
      from,
      until,
    );
    return { kid: toKid(jwk), privateKey, endorsement, jwk };
  };
  const signer = await endorse();
  const [header = {}, payload = {}] = decode(signTicket(permission, issuer, signer));
  return {
    root,
    roots,
    verifier: { roots, issuer, gateway: 'hub' },
    signer,
    endorse,
    forgeTicket: (otherHeader, otherPayload, key = signer.privateKey) =>
      signParts({ ...header, ...otherHeader }, { ...payload, ...otherPayload }, key),
  };
}

/** Returns header and payload of a JWT. */
export function decode(token: string): readonly Part[] {
  return token
    .split('.')
    .slice(0, 2)
    .map((part): Part => {
      const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
      return { ...(typeof value === 'object' ? value : {}) };
    });
}

/** Signs any header and payload as a JWS with ES256; members that are undefined are left out. */
export function signParts(header: Part, payload: Part, key: KeyObject): string {
  const signed = [header, payload].map(toPart).join('.');
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

/** Signs with HS256, with the public key as the secret: the attack of RFC 8725, section 2.1. */
export function signWithPublicKey(header: Part, payload: Part, jwk: PublicJwk): string {
  const secret = createPublicKey({ key: jwk, format: 'jwk' }).export({
    type: 'spki',
    format: 'pem',
  });
  const signed = [header, payload].map(toPart).join('.');
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function toPart(value: Part): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
