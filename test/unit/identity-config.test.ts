import { describe, expect, test } from 'vitest';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import { clientId, tenant } from '../support/token-factory.ts';

const entra = { kind: 'entra', tenant, audience: [clientId] };
const oidc = {
  kind: 'oidc',
  name: 'github',
  issuer: 'https://token.actions.githubusercontent.com',
  audience: ['api://sallyport'],
  require: { repository_owner_id: '65' },
};

describe('parseTrustedIssuers', () => {
  test('fills in what most operators want', () => {
    expect(parseTrustedIssuers([entra, oidc])).toEqual([
      { ...entra, people: { scope: 'Session.Request' } },
      { ...oidc, mapping: { subject: 'sub' }, grants: [] },
    ]);
  });

  test('compares tenants and client ids in lower case', () => {
    const [issuer] = parseTrustedIssuers([
      { ...entra, tenant: tenant.toUpperCase(), audience: [clientId.toUpperCase()] },
    ]);

    expect(issuer).toMatchObject({ tenant, audience: [clientId] });
  });

  test.each([
    'https://login.microsoftonline.us/x/v2.0',
    'https://cluster.test/',
    'https://cluster.test',
    'https://cluster.test:8443/a/b/',
    'http://127.0.0.1:4000/adfs',
    'http://localhost:4000',
    'http://[::1]:4000',
  ])('takes the issuer %s', (issuer) => {
    expect(parseTrustedIssuers([{ ...oidc, issuer }])).toMatchObject([{ issuer }]);
  });

  test.each([
    'http://cluster.test',
    'http://localhost.evil.test',
    'ftp://cluster.test',
    'file:///etc/issuer',
    'cluster.test',
    'https://cluster.test/?tenant=1',
    'https://cluster.test/#a',
    'https://ada:secret@cluster.test',
    'https://cluster.test:443',
    'https://CLUSTER.test',
    'https://cluster.test/a/../b',
    'https://token.actions.githubusercontent.com\n',
    '',
  ])('refuses the issuer "%s"', (issuer) => {
    expect(() => parseTrustedIssuers([{ ...oidc, issuer }])).toThrow('[0].issuer');
  });

  test.each([
    ['no issuer', []],
    ['no list', entra],
    ['nothing', undefined],
    ['another kind', [{ ...entra, kind: 'saml' }]],
    ['an unknown setting', [{ ...entra, tenants: [tenant] }]],
    ['every tenant', [{ ...entra, tenant: 'common' }]],
    ['the placeholder of the documentation', [{ ...entra, tenant: '<tenant id>' }]],
    ['personal accounts', [{ ...entra, tenant: '9188040d-6c67-4c5b-b112-36a304b66dad' }]],
    ['no audience', [{ ...entra, audience: [] }]],
    [
      'the audience of Resource Manager',
      [{ ...entra, audience: ['https://management.azure.com/'] }],
    ],
    [
      'the client id of Resource Manager',
      [{ ...entra, audience: ['797F4846-BA00-4FD7-BA43-DAC1F8F63013'] }],
    ],
    ['the client id of Graph', [{ ...entra, audience: ['00000003-0000-0000-c000-000000000000'] }]],
    // Anybody on GitHub gets a token with any audience.
    ['no required claim', [{ ...oidc, require: {} }]],
    ['required claims left out', [{ ...oidc, require: undefined }]],
    ['a required claim without values', [{ ...oidc, require: { sub: [] } }]],
    ['a name that is a GUID', [{ ...oidc, name: 'b0000000-0000-4000-8000-0000000000a1' }]],
    ['a name with a dot', [{ ...oidc, name: 'git.hub' }]],
    ['an unknown role', [{ ...oidc, grants: [{ roles: ['Root'] }] }]],
    ['an issuer twice', [oidc, { ...oidc, name: 'other' }]],
    ['a name twice', [oidc, { ...oidc, issuer: 'https://cluster.test' }]],
    ['a tenant twice', [entra, { ...entra, issuer: 'https://login.microsoftonline.us/x' }]],
    [
      'the issuer of a tenant as another kind',
      [entra, { ...oidc, issuer: `https://sts.windows.net/${tenant}/` }],
    ],
  ])('refuses %s', (_what, json) => {
    expect(() => parseTrustedIssuers(json)).toThrow('✖');
  });

  test('names every fault and where it is', () => {
    const faulty = [
      { ...entra, tenant: 'common' },
      { ...oidc, name: 'GitHub', audience: [] },
    ];

    const parse = (): unknown => parseTrustedIssuers(faulty);

    expect(parse).toThrow('[0].tenant');
    expect(parse).toThrow('[1].name');
    expect(parse).toThrow('[1].audience');
  });
});
