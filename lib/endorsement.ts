import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { PublicJwk, RootKey, TrustedRoots } from './root-key.ts';
import { publicJwkShape, toKid } from './root-key.ts';

const endorsementType = 'sallyport-endorsement+jwt';

// Fixed here, never taken from the token (RFC 8725, section 3.1).
const algorithm: jwt.Algorithm = 'ES256';

const headerShape = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal(endorsementType),
  kid: z.string(),
});

const payloadShape = z.strictObject({
  iss: z.string(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
  jwk: publicJwkShape,
});

/** A key that a root key vouched for, until when. */
export type EndorsedKey = {
  readonly kid: string;
  readonly key: KeyObject;
  readonly jwk: PublicJwk;
  readonly issuer: string;
  readonly expiresAt: Date;
};

/** The key of a broker process, with the endorsement that lets others trust it. */
export type SigningKey = {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly endorsement: string;
};

/** Makes the root key's statement that an instance key may sign for the issuer until it expires. */
export async function signEndorsement(
  root: RootKey,
  endorsed: { readonly jwk: PublicJwk; readonly issuer: string },
  from: Date,
  until: Date,
): Promise<string> {
  const header = { alg: algorithm, typ: endorsementType, kid: root.kid };
  const issuedAt = toSeconds(from);
  const payload = {
    iss: endorsed.issuer,
    iat: issuedAt,
    nbf: issuedAt,
    exp: toSeconds(until),
    jwk: endorsed.jwk,
  };
  const signed = `${toPart(header)}.${toPart(payload)}`;
  const signature = await root.sign(Buffer.from(signed));
  return `${signed}.${signature.toString('base64url')}`;
}

/** Returns the endorsed key, or throws when no trusted root vouches for it now. */
export function verifyEndorsement(
  endorsement: string,
  roots: TrustedRoots,
  now: Date,
  skewSeconds: number,
): EndorsedKey {
  const header = headerShape.parse(jwt.decode(endorsement, { complete: true })?.header);
  const root = roots.get(header.kid);
  if (root === undefined) throw new Error('no trusted root has the id in the endorsement');
  const options = {
    algorithms: [algorithm],
    clockTimestamp: toSeconds(now),
    clockTolerance: skewSeconds,
  };
  const payload = payloadShape.parse(jwt.verify(endorsement, root, options));
  return {
    kid: toKid(payload.jwk),
    key: createPublicKey({ key: payload.jwk, format: 'jwk' }),
    jwk: payload.jwk,
    issuer: payload.iss,
    expiresAt: new Date(payload.exp * 1000),
  };
}

function toPart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
