import { describe, expect, test } from 'vitest';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import type { Claims } from '../support/token-factory.ts';
import {
  TestIssuer,
  createTestIdentify,
  createTokenKey,
  entraClaims,
  entraIssuers,
  entraUrl,
  noon,
  signToken,
  tenant,
} from '../support/token-factory.ts';

const key = createTokenKey();
const seconds = noon.getTime() / 1000;
const times = { iat: seconds, nbf: seconds, exp: seconds + 600 };

const issuerUrl = 'https://sts.test';
const plainUrl = 'https://plain.test';
const adaId = 'ADA00000-0000-4000-8000-00000000000A';

/** A token of an exchange (RFC 8693): ada is its subject, and the deployer acts. */
const exchanged = {
  iss: issuerUrl,
  aud: 'api://sallyport',
  sub: 'ada',
  oid: adaId,
  name: 'Ada',
  teams: ['red'],
  zone: 'a',
  act: { sub: 'deployer', iss: issuerUrl, label: 'The deployer', teams: ['ci'] },
  ...times,
};

const issuerOf = (delegation?: object): object => ({
  kind: 'oidc',
  name: 'sts',
  issuer: issuerUrl,
  audience: ['api://sallyport'],
  require: { zone: 'a' },
  mapping: { name: 'label', groups: 'teams' },
  grants: [
    { roles: ['Session.Request', 'Session.Terminate.All', 'Gateway'], when: { sub: 'deployer' } },
    { roles: ['Approval.Decide'], when: { sub: 'ada' } },
  ],
  ...(delegation === undefined ? {} : { delegation }),
});

/** Returns what reads tokens of the issuer, with what it is trusted to say about delegation. */
function trusting(delegation?: object) {
  const plain = { ...issuerOf(), name: 'plain', issuer: plainUrl };
  const issuers = parseTrustedIssuers([...entraIssuers, issuerOf(delegation), plain]);
  const issuer = (url: string) => new TestIssuer(url, [key.jwk]);
  const known = [issuerUrl, plainUrl, entraUrl].map((url) => [url, issuer(url)] as const);
  const identify = createTestIdentify(issuers, async (url, signal) => {
    const found = known.find(([prefix]) => url.href.startsWith(prefix));
    if (found === undefined) throw new Error('no such issuer');
    return found[1].fetchJson(url, signal);
  });
  return async (claims: Claims) => identify(await signToken(key, claims));
}

const read = trusting({ name: 'name', groups: 'teams' });

describe('a token that names an actor', () => {
  test('is that of the workload, in the name of the person', async () => {
    expect(await read(exchanged)).toEqual({
      id: 'sts.deployer',
      kind: 'workload',
      issuer: issuerUrl,
      app: 'sts',
      name: 'The deployer',
      groups: ['sts.ci'],
      // Of its roles the one that is for use in another's name; and none of those of the person.
      roles: ['Session.Request'],
      acrs: [],
      canStepUp: false,
      onBehalfOf: {
        id: 'sts.ada',
        issuer: issuerUrl,
        app: 'sts',
        name: 'Ada',
        groups: ['sts.red'],
      },
    });
  });

  test('names a person of a trusted tenant where the operator says so', async () => {
    const mapping = { tenant, subject: 'oid', groups: 'teams' };

    expect(await trusting(mapping)(exchanged)).toMatchObject({
      id: 'sts.deployer',
      groups: ['sts.ci'],
      onBehalfOf: { id: `${tenant}.${adaId.toLowerCase()}`, groups: ['red'] },
    });
    await expect(trusting({ tenant })(exchanged)).rejects.toMatchObject({ code: 'token-invalid' });
  });

  test('gives the actor no role by what the person is', async () => {
    const other = { ...exchanged, sub: 'deployer', act: { sub: 'stranger' } };

    expect(await read(other)).toMatchObject({ id: 'sts.stranger', roles: [] });
  });

  test('is no other token without it', async () => {
    const { act: _, ...plain } = exchanged;

    expect(await read({ ...plain, sub: 'deployer' })).toMatchObject({
      id: 'sts.deployer',
      roles: ['Session.Request', 'Session.Terminate.All', 'Gateway'],
    });
    expect(await read({ ...plain, sub: 'deployer' })).not.toHaveProperty('onBehalfOf');
  });

  test.each<[string, Claims]>([
    ['names a chain of actors', { act: { ...exchanged.act, act: { sub: 'another' } } }],
    ['names an actor of another issuer', { act: { sub: 'deployer', iss: plainUrl } }],
    ['names an actor without a subject', { act: { iss: issuerUrl } }],
    ['names an actor with two lines', { act: { sub: 'deployer\nx' } }],
    ['names an actor by a text', { act: 'deployer' }],
    ['names nothing as the actor', { act: null }],
    ['names a list of actors', { act: [exchanged.act] }],
    ['names the person as the actor', { act: { sub: 'ada' } }],
    ['names no person', { sub: undefined }],
    [
      'claims what is required only of the actor',
      { zone: 'b', act: { sub: 'deployer', zone: 'a' } },
    ],
  ])('is refused when it %s', async (_what, changes) => {
    await expect(read({ ...exchanged, ...changes })).rejects.toMatchObject({
      code: 'token-invalid',
    });
  });

  test('is refused from an issuer that may not say so', async () => {
    const own = { ...exchanged, act: { sub: 'deployer' } };

    await expect(trusting()(own)).rejects.toMatchObject({ code: 'token-invalid' });
    await expect(read({ ...own, iss: plainUrl })).rejects.toMatchObject({ code: 'token-invalid' });
  });

  test('is refused from Entra', async () => {
    const user = { ...entraClaims['v2-user'], iss: entraUrl };

    await expect(read(user)).resolves.toHaveProperty('kind', 'person');
    await expect(read({ ...user, act: { sub: 'deployer' } })).rejects.toMatchObject({
      code: 'token-invalid',
    });
  });
});

describe('the setting', () => {
  test('names a tenant that is trusted, and nothing that is unknown', () => {
    const other = '9b7b0000-0000-4000-8000-0000000000cc';
    const parse = (delegation: object) => () =>
      parseTrustedIssuers([...entraIssuers, issuerOf(delegation)]);

    expect(parse({ tenant: tenant.toUpperCase() })).not.toThrow();
    expect(parse({ tenant: other })).toThrow('As the tenant of a delegation');
    expect(parse({ tenant: 'sts' })).toThrow('delegation.tenant');
    expect(parse({ people: true })).toThrow('delegation');
  });
});
