import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { toKid, toPublicJwk, toTrustedRoots } from '../../lib/root-key.ts';
import { signTicket, verifyTicket } from '../../lib/ticket.ts';
import type { Forge } from '../support/forgery.ts';
import {
  after,
  decode,
  issuer,
  now,
  openForge,
  permission,
  signParts,
  signWithPublicKey,
} from '../support/forgery.ts';
import { testRoot } from '../support/test-broker.ts';

type Attack = (forge: Forge) => string | Promise<string>;

const seconds = now.getTime() / 1000;

const attacks: Readonly<Record<string, Attack>> = {
  'signed with HS256 and the public key': ({ forgeTicket, signer }) => {
    const [header = {}, payload = {}] = decode(forgeTicket({ alg: 'HS256' }, {}));
    return signWithPublicKey(header, payload, signer.jwk);
  },
  'with alg none and no signature': ({ forgeTicket }) =>
    forgeTicket({ alg: 'none' }, {}).replace(/[^.]*$/, ''),
  'with alg none and the good signature': ({ forgeTicket }) => forgeTicket({ alg: 'none' }, {}),
  'with another algorithm': ({ forgeTicket }) => forgeTicket({ alg: 'ES384' }, {}),
  'without a signature': ({ forgeTicket }) => forgeTicket({}, {}).replace(/[^.]*$/, ''),
  'with an empty payload': ({ signer, forgeTicket }) => {
    const [header = {}] = decode(forgeTicket({}, {}));
    return signParts(header, {}, signer.privateKey);
  },
  'without exp': ({ forgeTicket }) => forgeTicket({}, { exp: undefined }),
  'without nbf': ({ forgeTicket }) => forgeTicket({}, { nbf: undefined }),
  'without iat': ({ forgeTicket }) => forgeTicket({}, { iat: undefined }),
  'without jti': ({ forgeTicket }) => forgeTicket({}, { jti: undefined }),
  'without aud': ({ forgeTicket }) => forgeTicket({}, { aud: undefined }),
  'without iss': ({ forgeTicket }) => forgeTicket({}, { iss: undefined }),
  'that lives for a year': ({ forgeTicket }) => forgeTicket({}, { exp: seconds + 31_536_000 }),
  'that lives for 91 s': ({ forgeTicket }) => forgeTicket({}, { exp: seconds + 91 }),
  'that has expired': ({ forgeTicket }) =>
    forgeTicket({}, { iat: seconds - 65, nbf: seconds - 65, exp: seconds - 5 }),
  'from the future': ({ forgeTicket }) => forgeTicket({}, { iat: seconds + 6 }),
  'that is not valid yet': ({ forgeTicket }) => forgeTicket({}, { nbf: seconds + 6 }),
  'with exp as text': ({ forgeTicket }) => forgeTicket({}, { exp: String(seconds + 60) }),
  'of no type': ({ forgeTicket }) => forgeTicket({ typ: undefined }, {}),
  'of type JWT': ({ forgeTicket }) => forgeTicket({ typ: 'JWT' }, {}),
  'of the type of an endorsement': ({ forgeTicket }) =>
    forgeTicket({ typ: 'sallyport-endorsement+jwt' }, {}),
  'that is an endorsement': ({ signer }) => signer.endorsement,
  'with an unknown crit': ({ forgeTicket }) => forgeTicket({ crit: ['x'], x: 1 }, {}),
  'with a key of its own': ({ forgeTicket }) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return forgeTicket({ jwk: toPublicJwk(publicKey) }, {}, privateKey);
  },
  'with the URL of a key': ({ forgeTicket }) =>
    forgeTicket({ jku: 'https://attacker.test/jwks.json' }, {}),
  'with a URL as kid': ({ forgeTicket }) => forgeTicket({ kid: 'https://attacker.test/key' }, {}),
  'with a path as kid': ({ forgeTicket }) => forgeTicket({ kid: '../../dev/null' }, {}),
  'without kid': ({ forgeTicket }) => forgeTicket({ kid: undefined }, {}),
  'without an endorsement': ({ forgeTicket }) => forgeTicket({ endorsement: undefined }, {}),
  'with a ticket as endorsement': ({ forgeTicket }) =>
    forgeTicket({ endorsement: forgeTicket({}, {}) }, {}),
  'with a key that an unknown root endorsed': async ({ endorse }) =>
    signTicket(permission, issuer, await endorse({ root: testRoot() })),
  'with a key that an unknown root endorsed in the name of the known one': async ({
    endorse,
    root,
  }) => signTicket(permission, issuer, await endorse({ root: { ...testRoot(), kid: root.kid } })),
  'with a key that endorsed itself': async ({ signer, forgeTicket }) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = toPublicJwk(publicKey);
    const kid = toKid(jwk);
    const [header = {}, payload = {}] = decode(signer.endorsement);
    const endorsement = signParts({ ...header, kid }, { ...payload, jwk }, privateKey);
    return forgeTicket({ kid, endorsement }, {}, privateKey);
  },
  'with a key that another instance key endorsed': async ({ endorse, forgeTicket, signer }) => {
    const next = await endorse();
    const [header = {}, payload = {}] = decode(next.endorsement);
    const endorsement = signParts({ ...header, kid: signer.kid }, payload, signer.privateKey);
    return forgeTicket({ kid: next.kid, endorsement }, {}, next.privateKey);
  },
  'with the endorsement of another key': async ({ endorse, forgeTicket }) =>
    forgeTicket({ endorsement: (await endorse()).endorsement }, {}),
  'with the kid and endorsement of another key': async ({ endorse, forgeTicket }) => {
    const { endorsement, kid } = await endorse();
    return forgeTicket({ endorsement, kid }, {});
  },
  'with an endorsement for another broker': async ({ endorse }) =>
    signTicket(permission, issuer, await endorse({ issuer: 'https://other.test' })),
  'with an expired endorsement': async ({ endorse }) =>
    signTicket(permission, issuer, await endorse({ until: after(-5) })),
  'with an endorsement from the future': async ({ endorse }) =>
    signTicket(permission, issuer, await endorse({ from: after(6) })),
  'with the payload of another': ({ forgeTicket }) => {
    const [header, , signature] = forgeTicket({}, {}).split('.');
    const [, payload] = forgeTicket({}, { host: '10.0.0.5' }).split('.');
    return [header, payload, signature].join('.');
  },
  'for another gateway': ({ forgeTicket }) => forgeTicket({}, { aud: 'other' }),
  'for several gateways': ({ forgeTicket }) => forgeTicket({}, { aud: ['hub', 'other'] }),
  'of another broker': ({ forgeTicket }) => forgeTicket({}, { iss: 'https://other.test' }),
  'with one more claim': ({ forgeTicket }) => forgeTicket({}, { admin: true }),
  'with an unknown term': ({ forgeTicket }) => forgeTicket({}, { terms: { recording: true } }),
  'with an unknown protocol': ({ forgeTicket }) => forgeTicket({}, { protocol: 'vnc' }),
  'to no port': ({ forgeTicket }) => forgeTicket({}, { port: 0 }),
  'that is empty': () => '',
  'of two dots': () => '..',
  'that is no JSON': () => 'e30.%%%.e30',
  'with white space around': ({ forgeTicket }) => ` ${forgeTicket({}, {})}`,
  'of five parts': ({ forgeTicket }) => `${forgeTicket({}, {})}..`,
};

describe('verifyTicket', () => {
  let forge: Forge;

  beforeAll(async () => {
    forge = await openForge();
  });

  test('accepts what all these forgeries were made of', () => {
    const { forgeTicket, verifier } = forge;

    expect(verifyTicket(forgeTicket({}, {}), verifier, now).permission).toEqual(permission);
    expect(verifyTicket(forgeTicket({}, { exp: seconds + 90 }), verifier, now)).toBeDefined();
  });

  test.each(Object.entries(attacks))('refuses a ticket %s', async (_, attack) => {
    const ticket = await attack(forge);

    // One answer to all, so that a forger learns nothing.
    expect(() => verifyTicket(ticket, forge.verifier, now)).toThrow(
      expect.objectContaining({
        code: 'ticket-invalid',
        message: 'Ask for a new ticket of this session.',
      }),
    );
  });

  test.each([
    [-6, false],
    [-5, true],
    [64, true],
    [65, false],
  ])(
    'judges a ticket of a minute at %i s by a clock that may be five seconds off',
    (at, isGood) => {
      const verify = () => verifyTicket(forge.forgeTicket({}, {}), forge.verifier, after(at));

      if (isGood) expect(verify().kid).toBe(forge.signer.kid);
      else expect(verify).toThrow('Ask for a new ticket');
    },
  );

  test('accepts the tickets of both roots while they rotate', async () => {
    const next = testRoot();
    const signer = await forge.endorse({ root: next });
    const tickets = [forge.forgeTicket({}, {}), signTicket(permission, issuer, signer)];
    const roots = toTrustedRoots([forge.root.publicJwk, next.publicJwk]);

    const kids = tickets.map(
      (ticket) => verifyTicket(ticket, { ...forge.verifier, roots }, now).kid,
    );

    expect(kids).toEqual([forge.signer.kid, signer.kid]);
  });
});
