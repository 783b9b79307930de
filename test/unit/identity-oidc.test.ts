import { describe, expect, test } from 'vitest';
import type { Caller } from '../../lib/caller.ts';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import type { Claims } from '../support/token-factory.ts';
import {
  TestIssuer,
  createTestIdentify,
  createTokenKey,
  entraIssuers,
  noon,
  signParts,
  signToken,
} from '../support/token-factory.ts';

const key = createTokenKey();
const seconds = noon.getTime() / 1000;
const times = { iat: seconds, nbf: seconds, exp: seconds + 600 };

const githubUrl = 'https://token.actions.githubusercontent.com';
const github = {
  iss: githubUrl,
  aud: 'api://sallyport',
  sub: 'repo:contoso/app:ref:refs/heads/main',
  repository: 'contoso/app',
  repository_id: '74',
  repository_owner_id: '65',
  ref: 'refs/heads/main',
  ...times,
};

const clusterUrl = 'https://cluster.test/42/';
const pod = {
  iss: clusterUrl,
  aud: ['api://sallyport'],
  sub: 'system:serviceaccount:sallyport:gateway',
  'kubernetes.io': { namespace: 'sallyport' },
  teams: ['red', 'blue'],
  ...times,
};

const issuers = parseTrustedIssuers([
  ...entraIssuers,
  {
    kind: 'oidc',
    name: 'github',
    issuer: githubUrl,
    audience: ['api://sallyport'],
    require: { repository_owner_id: '65', repository_id: ['74', '75'] },
    mapping: { name: 'repository' },
    grants: [
      { roles: ['Session.Request'] },
      { roles: ['Session.Terminate.All', 'Session.Request'], when: { ref: 'refs/heads/main' } },
    ],
  },
  {
    kind: 'oidc',
    name: 'cluster',
    issuer: clusterUrl,
    audience: ['api://sallyport'],
    require: { sub: pod.sub },
    mapping: { groups: 'teams' },
  },
]);

const issuer = new TestIssuer(githubUrl, [key.jwk]);
const cluster = new TestIssuer(clusterUrl, [key.jwk]);
const identify = createTestIdentify(issuers, (url, signal) =>
  (url.href.startsWith(githubUrl) ? issuer : cluster).fetchJson(url, signal),
);

const read = async (claims: Claims): Promise<Caller> => identify(await signToken(key, claims));

describe('identify, with a workload issuer', () => {
  test('knows a job of GitHub Actions', async () => {
    expect(await read(github)).toEqual({
      id: 'github.repo:contoso/app:ref:refs/heads/main',
      kind: 'workload',
      issuer: githubUrl,
      app: 'github',
      name: 'contoso/app',
      groups: [],
      roles: ['Session.Request', 'Session.Terminate.All'],
      acrs: [],
      canStepUp: false,
    });
  });

  test('gives the roles whose conditions the claims meet', async () => {
    expect(await read({ ...github, ref: 'refs/heads/topic', repository_id: '75' })).toMatchObject({
      roles: ['Session.Request'],
    });
  });

  test('ignores roles that the token itself claims', async () => {
    expect(await read({ ...pod, roles: ['Gateway'], scp: 'Session.Request' })).toMatchObject({
      roles: [],
    });
  });

  test('knows a pod, whose token has no type and a list of one audience', async () => {
    const header = JSON.stringify({ alg: 'ES256', kid: key.kid });

    expect(await identify(signParts(key, header, JSON.stringify(pod)))).toMatchObject({
      id: 'cluster.system:serviceaccount:sallyport:gateway',
      // Under the name of the issuer, which cannot put its callers in the groups of another.
      groups: ['cluster.red', 'cluster.blue'],
    });
  });

  test.each([
    ['of another owner', { ...github, repository_owner_id: '66' }],
    ['of another repository', { ...github, repository_id: '76' }],
    ['without a required claim', { ...github, repository_owner_id: undefined }],
    ['with a required claim in a list', { ...github, repository_owner_id: ['65'] }],
    ['with a required claim as a number', { ...github, repository_owner_id: 65 }],
    ['for two audiences', { ...pod, aud: ['api://sallyport', 'sts'] }],
    ['for another audience', { ...github, aud: 'https://github.com/contoso' }],
    ['of another service account', { ...pod, sub: 'system:serviceaccount:default:default' }],
    ['without a subject', { ...github, sub: undefined }],
    ['with an empty subject', { ...github, sub: '' }],
    ['with a subject of two lines', { ...github, sub: 'repo:contoso/app\nx' }],
    ['with a subject that is not ASCII', { ...github, sub: 'repo:cοntoso/app' }],
    ['with a subject that has no end', { ...github, sub: 'a'.repeat(256) }],
    ['with groups that are no list', { ...pod, teams: 'red' }],
    ['that lives a year', { ...pod, exp: seconds + 365 * 86_400 }],
  ])('refuses a token %s', async (_what, claims) => {
    await expect(read(claims)).rejects.toMatchObject({ code: 'token-invalid' });
  });

  // Each issuer has keys of its own: one that is trusted must not speak for another.
  test('refuses a token that another trusted issuer signed', async () => {
    const own = createTokenKey();
    const other = new TestIssuer(clusterUrl, [own.jwk]);
    const identifyBoth = createTestIdentify(issuers, (url, signal) =>
      (url.href.startsWith(githubUrl) ? issuer : other).fetchJson(url, signal),
    );

    await expect(identifyBoth(await signToken(own, pod))).resolves.toHaveProperty('app', 'cluster');
    await expect(identifyBoth(await signToken(own, github))).rejects.toMatchObject({
      code: 'token-invalid',
    });
  });
});
