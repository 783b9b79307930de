import { describe, expect, test } from 'vitest';
import type { Caller } from '../../lib/caller.ts';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import type { Claims } from '../support/token-factory.ts';
import {
  TestIssuer,
  clientId,
  createTestIdentify,
  createTokenKey,
  entraClaims,
  entraIssuers,
  entraUrl,
  signToken,
  tenant,
} from '../support/token-factory.ts';

const key = createTokenKey('RS256');
const issuer = new TestIssuer(entraUrl, [key.jwk]);
const identify = createTestIdentify(entraIssuers, issuer.fetchJson);

const read = async (claims: Claims): Promise<Caller> => identify(await signToken(key, claims));

const readWith = (changes: Claims): Promise<Caller> =>
  read({ ...entraClaims['v2-user'], ...changes });

const readApp = (changes: Claims): Promise<Caller> =>
  read({ ...entraClaims['v2-app'], ...changes });

describe('identify, with the claim sets of Entra', () => {
  test('knows a person by a v2 token', async () => {
    expect(await read(entraClaims['v2-user'])).toEqual({
      id: `${tenant}.a0000000-0000-4000-8000-000000000001`,
      kind: 'person',
      issuer: entraUrl,
      app: '04b07795-8ddb-461a-bbee-02f9e1bf7b46',
      name: 'Alice',
      groups: [],
      roles: ['Session.Request'],
      acrs: ['p1'],
      canStepUp: true,
    });
  });

  test('knows the same person by a v1 token', async () => {
    expect(await read(entraClaims['v1-user'])).toEqual({
      id: `${tenant}.a0000000-0000-4000-8000-000000000001`,
      kind: 'person',
      issuer: `https://sts.windows.net/${tenant}/`,
      app: '04b07795-8ddb-461a-bbee-02f9e1bf7b46',
      name: 'Alice',
      groups: ['90000000-0000-4000-8000-000000000009'],
      roles: ['Session.Request'],
      acrs: [],
      canStepUp: false,
    });
  });

  test('knows a workload, which gets only the roles that it was assigned', async () => {
    expect(await read(entraClaims['v2-app'])).toEqual({
      id: `${tenant}.5a000000-0000-4000-8000-000000000002`,
      kind: 'workload',
      issuer: entraUrl,
      app: 'd0000000-0000-4000-8000-000000000001',
      name: '5a000000-0000-4000-8000-000000000002',
      groups: [],
      roles: [],
      acrs: [],
      canStepUp: false,
    });
  });

  // Fail closed: "no groups" would let the caller past a policy that forbids something to a group.
  test.each(['v2-user-groups-overage', 'v2-user-hasgroups'] as const)(
    'does not take the overage of %s for no groups',
    async (name) => {
      expect(await read(entraClaims[name])).toMatchObject({ kind: 'person', groups: 'unknown' });
    },
  );

  test('knows a guest by the id in our tenant', async () => {
    expect(await read(entraClaims['v2-guest'])).toMatchObject({
      id: `${tenant}.a0000000-0000-4000-8000-000000000004`,
      name: 'bob@partner.test',
    });
  });

  test.each(['v2-personal-account', 'v1-managed-identity-arm', 'v1-user-arm-azcli'] as const)(
    'refuses %s',
    async (name) => {
      await expect(read(entraClaims[name])).rejects.toMatchObject({ code: 'token-invalid' });
    },
  );
});

describe('identify, of a person', () => {
  test('adds the known roles that the person was assigned, and ignores others', async () => {
    const caller = await readWith({
      roles: ['Audit.Read', 'Approval.Decide', 'Root', 'audit.read'],
    });

    expect(caller.roles).toEqual(['Session.Request', 'Approval.Decide', 'Audit.Read']);
  });

  test('gives no role to an app that the person did not let act here', async () => {
    const caller = await readWith({ scp: 'Sessions.Requests Other', roles: ['Audit.Read'] });

    expect(caller).toMatchObject({ kind: 'person', roles: [] });
  });

  test('finds the scope among others', async () => {
    expect(await readWith({ scp: 'Other Sessions.Request' })).toMatchObject({
      roles: ['Session.Request'],
    });
  });

  test('says when the person signed in', async () => {
    expect(await readWith({ auth_time: 1_767_599_000 })).toMatchObject({
      signedInAt: 1_767_599_000,
    });
  });

  test('compares ids in lower case', async () => {
    const caller = await readWith({
      tid: tenant.toUpperCase(),
      oid: 'A0000000-0000-4000-8000-00000000000F',
      groups: ['90000000-0000-4000-8000-00000000000F'],
    });

    expect(caller).toMatchObject({
      id: `${tenant}.a0000000-0000-4000-8000-00000000000f`,
      groups: ['90000000-0000-4000-8000-00000000000f'],
    });
  });

  test('does not believe a list of groups beside a sign of overage', async () => {
    const groups = ['90000000-0000-4000-8000-000000000009'];

    expect(await readWith({ groups, hasgroups: 'true' })).toMatchObject({ groups: 'unknown' });
    expect(await readWith({ groups, _claim_names: { groups: 'src1' } })).toMatchObject({
      groups: 'unknown',
    });
    expect(
      await readWith({ groups, hasgroups: false, _claim_names: { other: 'src1' } }),
    ).toMatchObject({
      groups,
    });
  });

  test.each([
    ['a right-to-left override', 'Ali\u202Ece', 'Alice'],
    ['line breaks', 'Ali\r\nce\u2028', 'Alice'],
    ['an escape sequence', '\u001B[31mAlice', '[31mAlice'],
    ['invisible characters', '\u200BAl\u2066i\uFEFFce', 'Alice'],
    ['a lone surrogate', 'Alice\uD800', 'Alice'],
    ['a surrogate pair at the cut', `${'a'.repeat(199)}😀`, 'a'.repeat(199)],
    ['no end', 'a'.repeat(5000), 'a'.repeat(200)],
    ['nothing to show', '\u202E ', 'a0000000-0000-4000-8000-000000000001'],
  ])('shows a name with %s as plain text', async (_what, name, shown) => {
    expect(await readWith({ name })).toHaveProperty('name', shown);
  });
});

describe('identify, of a workload', () => {
  test('gives it the known roles that it was assigned', async () => {
    const caller = await readApp({ roles: ['Session.Request', 'Gateway', 'Other'] });

    expect(caller.roles).toEqual(['Session.Request', 'Gateway']);
  });

  test('knows an app without the optional claim idtyp, because it is its own subject', async () => {
    expect(await readApp({ idtyp: undefined })).toMatchObject({ kind: 'workload' });
  });
});

describe('identify, with an issuer of its own for the tenant', () => {
  const url = 'http://127.0.0.1:4000/adfs';
  const local = new TestIssuer(url, [key.jwk]);
  const issuers = parseTrustedIssuers([
    { kind: 'entra', tenant, audience: [`api://${clientId}`], issuer: url },
  ]);
  const identifyLocally = createTestIdentify(issuers, local.fetchJson);
  const claims = { ...entraClaims['v2-user'], aud: `api://${clientId}`, scp: 'Session.Request' };

  test('takes its v2 claims', async () => {
    const token = await signToken(key, { ...claims, iss: url }, { typ: 'at+jwt' });

    await expect(identifyLocally(token)).resolves.toMatchObject({ issuer: url, name: 'Alice' });
  });

  test('does not take what the cloud signs for the same tenant', async () => {
    await expect(identifyLocally(await signToken(key, claims))).rejects.toMatchObject({
      code: 'token-invalid',
    });
  });
});
