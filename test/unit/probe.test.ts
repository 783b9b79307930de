import { beforeAll, describe, expect, test } from 'vitest';
import { verifyEndorsement } from '../../lib/endorsement.ts';
import type { Probe } from '../../lib/probe.ts';
import { signProbe, verifyProbe } from '../../lib/probe.ts';
import { signTicket, verifyTicket } from '../../lib/ticket.ts';
import type { Forge, Part } from '../support/forgery.ts';
import {
  after,
  decode,
  issuer,
  now,
  openForge,
  permission,
  signParts,
} from '../support/forgery.ts';
import { testRoot } from '../support/test-broker.ts';

const probe: Probe = {
  id: '00000000-0000-4000-8000-000000000007',
  session: permission.session,
  gateway: 'hub',
  host: '10.0.0.4',
  port: 22,
  issuedAt: now,
  expiresAt: after(60),
};

const seconds = now.getTime() / 1000;
let forge: Forge;

beforeAll(async () => {
  forge = await openForge();
});

/** Returns a good order with other members, signed again by the broker's key. */
function forgeProbe(otherHeader: Part, otherClaims: Part): string {
  const [header = {}, claims = {}] = decode(signProbe(probe, issuer, forge.signer));
  const { privateKey } = forge.signer;
  return signParts({ ...header, ...otherHeader }, { ...claims, ...otherClaims }, privateKey);
}

test('an order says again what is to be tried', () => {
  const token = signProbe(probe, issuer, forge.signer);

  expect(verifyProbe(token, forge.verifier, now)).toEqual(probe);
});

describe('verifyProbe', () => {
  test.each<[string, Part, Part]>([
    ['of the type of a ticket', { typ: 'sallyport-ticket+jwt' }, {}],
    ['of no type', { typ: undefined }, {}],
    ['for another gateway', {}, { aud: 'other' }],
    ['of another broker', {}, { iss: 'https://other.test' }],
    ['without an expiry', {}, { exp: undefined }],
    ['that lives for 91 s', {}, { exp: seconds + 91 }],
    ['that has expired', {}, { iat: seconds - 65, nbf: seconds - 65, exp: seconds - 5 }],
    ['from the future', {}, { iat: seconds + 6 }],
    ['without an id', {}, { jti: undefined }],
    ['with the claims of a ticket', {}, { sub: permission.caller, protocol: 'ssh' }],
    ['to no port', {}, { port: 0 }],
    ['with an unknown crit', { crit: ['x'], x: 1 }, {}],
  ])('refuses an order %s', (_name, header, claims) => {
    expect(() => verifyProbe(forgeProbe(header, claims), forge.verifier, now)).toThrow(Error);
  });

  test('refuses an order by a key that no trusted root endorses', async () => {
    const signer = await forge.endorse({ root: testRoot() });

    expect(() => verifyProbe(signProbe(probe, issuer, signer), forge.verifier, now)).toThrow(
      'no trusted root',
    );
  });

  test('accepts what these forgeries were made of', () => {
    expect(verifyProbe(forgeProbe({}, { exp: seconds + 90 }), forge.verifier, now)).toBeDefined();
  });
});

// Threat 4: all are JWTs with ES256, and two are even signed by one key.
describe('a token is good for what it was made for, and for nothing else', () => {
  const tokens: Readonly<Record<string, () => string>> = {
    ticket: () => signTicket(permission, issuer, forge.signer),
    probe: () => signProbe(probe, issuer, forge.signer),
    endorsement: () => forge.signer.endorsement,
  };
  const uses: Readonly<Record<string, (token: string) => unknown>> = {
    ticket: (token) => verifyTicket(token, forge.verifier, now),
    probe: (token) => verifyProbe(token, forge.verifier, now),
    endorsement: (token) => verifyEndorsement(token, forge.roots, now, 5),
  };
  const pairs = Object.keys(tokens).flatMap((token) =>
    Object.keys(uses).map((use) => [token, use] as const),
  );

  test.each(pairs)('a %s used as a %s', (token, use) => {
    const act = () => uses[use]?.(tokens[token]?.() ?? '');

    if (token === use) expect(act()).toBeDefined();
    else expect(act).toThrow(Error);
  });

  // Not by their members alone: the type decides.
  test('a probe that has all members of a ticket is none', () => {
    const [header = {}] = decode(signProbe(probe, issuer, forge.signer));
    const [, claims = {}] = decode(signTicket(permission, issuer, forge.signer));
    const hybrid = signParts(header, claims, forge.signer.privateKey);

    expect(() => verifyTicket(hybrid, forge.verifier, now)).toThrow('Ask for a new ticket');
    expect(() => verifyProbe(hybrid, forge.verifier, now)).toThrow(Error);
  });
});
