import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyEndorsement } from '../../lib/endorsement.ts';
import { toKid } from '../../lib/root-key.ts';
import type { Forge } from '../support/forgery.ts';
import {
  after,
  decode,
  issuer,
  now,
  openForge,
  signParts,
  signWithPublicKey,
} from '../support/forgery.ts';
import { testRoot } from '../support/test-broker.ts';

let forge: Forge;

beforeAll(async () => {
  forge = await openForge();
});

describe('verifyEndorsement', () => {
  test('gives the key that the root key vouches for, for whom, and until when', () => {
    const { roots, signer } = forge;

    const endorsed = verifyEndorsement(signer.endorsement, roots, now, 0);

    expect(endorsed).toMatchObject({
      kid: signer.kid,
      jwk: signer.jwk,
      issuer,
      expiresAt: after(1800),
    });
    expect(endorsed.key.export({ format: 'jwk' })).toEqual(signer.jwk);
    expect(endorsed.kid).toBe(toKid(signer.jwk));
  });

  test.each([
    [-1801, 0, false],
    [-1800, 0, true],
    [-1805, 5, true],
    [1799, 0, true],
    [1800, 0, false],
    [1804, 5, true],
    [1805, 5, false],
  ])('counts from its first to its last second (at %i s, skew %i s: %s)', (at, skew, isGood) => {
    const verify = () => verifyEndorsement(forge.signer.endorsement, forge.roots, after(at), skew);

    if (isGood) expect(verify().kid).toBe(forge.signer.kid);
    else expect(verify).toThrow(/expired|not active/);
  });

  test('says nothing under an unknown root', async () => {
    const { endorsement } = await forge.endorse({ root: testRoot() });

    expect(() => verifyEndorsement(endorsement, forge.roots, now, 0)).toThrow('no trusted root');
    expect(() => verifyEndorsement(forge.signer.endorsement, new Map(), now, 0)).toThrow(
      'no trusted root',
    );
  });

  test('says nothing when a foreign key signed it in the name of the root', async () => {
    const { endorsement } = await forge.endorse({ root: { ...testRoot(), kid: forge.root.kid } });

    expect(() => verifyEndorsement(endorsement, forge.roots, now, 0)).toThrow('invalid signature');
  });

  // The root key signs with the forger's own words here: what is refused is the form, not the signature.
  test.each([
    ['of the type of a ticket', { typ: 'sallyport-ticket+jwt' }, {}],
    ['of type JWT', { typ: 'JWT' }, {}],
    ['of no type', { typ: undefined }, {}],
    ['with an unknown crit', { crit: ['x'], x: 1 }, {}],
    ['with a key of its own', { jwk: {} }, {}],
    ['with another algorithm', { alg: 'ES384' }, {}],
    ['with alg none', { alg: 'none' }, {}],
    ['without exp', {}, { exp: undefined }],
    ['without nbf', {}, { nbf: undefined }],
    ['without iss', {}, { iss: undefined }],
    ['without a key', {}, { jwk: undefined }],
    ['with one more claim', {}, { aud: 'hub' }],
    ['with a private key in it', {}, { jwk: { d: 'x' } }],
    ['with a point that is not on the curve', {}, { jwk: offCurve() }],
    ['with a key of another curve', {}, { jwk: { ...offCurve(), crv: 'P-384' } }],
  ])('refuses one %s', (_, header, payload) => {
    const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const kid = 'root';
    const [goodHeader = {}, goodPayload = {}] = decode(forge.signer.endorsement);
    const roots = new Map([[kid, root.publicKey]]);
    const good = signParts({ ...goodHeader, kid }, goodPayload, root.privateKey);
    const forged = signParts(
      { ...goodHeader, kid, ...header },
      { ...goodPayload, ...payload },
      root.privateKey,
    );

    expect(verifyEndorsement(good, roots, now, 0).kid).toBe(forge.signer.kid);
    expect(() => verifyEndorsement(forged, roots, now, 0)).toThrow(/./);
  });

  test('refuses one signed with HS256 and the public root key', () => {
    const [header = {}, payload = {}] = decode(forge.signer.endorsement);
    const forged = signWithPublicKey({ ...header, alg: 'HS256' }, payload, forge.root.publicJwk);

    expect(() => verifyEndorsement(forged, forge.roots, now, 0)).toThrow('ES256');
  });

  test('refuses a ticket', () => {
    expect(() => verifyEndorsement(forge.forgeTicket({}, {}), forge.roots, now, 0)).toThrow('typ');
  });
});

function offCurve(): object {
  return { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: `${'A'.repeat(42)}E` };
}
