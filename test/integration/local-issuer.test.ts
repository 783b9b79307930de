import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { get as getPlain } from 'node:http';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ensureCertificates } from '../../local/certificates.ts';
import { approversGroup, cliClientId, operatorsGroup, tenantId } from '../../local/demo-callers.ts';
import { nameSecretFile } from '../../local/issuer-files.ts';
import { startIssuer, type Issuer } from '../../local/issuer.ts';

const tokensSchema = z.object({
  access_token: z.string(),
  id_token: z.string().optional(),
  refresh_token: z.string().optional(),
});
const deviceSchema = z.object({
  device_code: z.string(),
  user_code: z.string(),
  verification_uri: z.url(),
  verification_uri_complete: z.url(),
  message: z.string(),
});
type Device = z.infer<typeof deviceSchema>;

describe('the local issuer', () => {
  let folder: string;
  let issuer: Issuer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-issuer-'));
    issuer = await startIssuer({ folder, port: 0 });
  });

  afterAll(async () => {
    await issuer.close();
    rmSync(folder, { recursive: true });
  });

  const person = { idtyp: 'user', scp: 'Session.Request' };
  const everyRight = [
    'Session.Read.All',
    'Session.Terminate.All',
    'Approval.Decide',
    'Policy.Read',
    'Audit.Read',
    'Lock.Manage',
  ];
  test.each([
    ['ada', { ...person, name: 'Ada Operator', groups: [operatorsGroup] }],
    ['grace', { ...person, name: 'Grace Approver', groups: [approversGroup], roles: everyRight }],
    ['eve', { ...person, name: 'Eve Nobody' }],
    ['pipeline', { idtyp: 'app', roles: ['Session.Request'] }],
    ['gateway', { idtyp: 'app', roles: ['Gateway'] }],
  ])('gives %s exactly the claims that Entra would give', async (name, expected) => {
    const { access_token: token } = tokensSchema.parse(
      await (await getTokens(issuer, name)).json(),
    );

    const keys = createRemoteJWKSet(new URL(issuer.jwksUrl));
    const checks = { issuer: issuer.url, audience: 'api://sallyport', algorithms: ['RS256'] };
    const { payload, protectedHeader } = await jwtVerify(token, keys, checks);
    const { exp = 0, iat = 0, nbf, oid, sub, uti, preferred_username: login, ...rest } = payload;
    expect(protectedHeader.typ).toBe('JWT');
    expect(exp - iat).toBe(3600);
    expect(nbf).toBe(iat);
    expect(z.guid().parse(oid)).toBe(sub);
    expect(uti).toEqual(expect.any(String));
    expect(login).toBe(expected.idtyp === 'user' ? `${name}@sallyport.local` : undefined);
    expect(rest).toEqual({
      iss: issuer.url,
      aud: 'api://sallyport',
      tid: tenantId,
      ver: '2.0',
      azp: name,
      ...expected,
    });
  });

  test('refuses a wrong client secret', async () => {
    const response = await getTokens(issuer, 'ada', 'wrong');

    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: 'invalid_client' });
  });

  test('gives a person who confirmed the device code tokens for the command line', async () => {
    const device = await startDeviceFlow(issuer);
    expect(device.message).toContain(device.user_code);
    expect(await (await poll(issuer, device)).json()).toMatchObject({
      error: 'authorization_pending',
    });
    const page = await (await fetch(device.verification_uri_complete)).text();
    expect(page).toContain('these callers have no password');
    expect(page).toContain(`value="${device.user_code}"`);
    expect(page).not.toContain('gateway');

    expect((await answerPage(device, { caller: 'grace' })).status).toBe(200);

    const tokens = tokensSchema.parse(await (await poll(issuer, device)).json());
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      aud: 'api://sallyport',
      azp: cliClientId,
      name: 'Grace Approver',
      groups: [approversGroup],
    });
    expect(decodeJwt(tokens.id_token ?? '')).toMatchObject({
      aud: cliClientId,
      preferred_username: 'grace@sallyport.local',
      tid: tenantId,
    });
    expect(decodeProtectedHeader(tokens.id_token ?? '').alg).toBe('RS256');
    const renewed = await fetch(issuer.tokenUrl, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: cliClientId,
        refresh_token: tokens.refresh_token ?? '',
      }),
    });
    expect(decodeJwt(tokensSchema.parse(await renewed.json()).access_token)).toMatchObject({
      name: 'Grace Approver',
    });
  });

  // OpenID Connect Core 1.0, section 5.5, with the claims of an access token as Entra takes them.
  test('gives the claims that a sign-in asks for, says so on its page, and keeps them at a renewal', async () => {
    const acrs = { essential: true, value: 'c1' };
    const claims = JSON.stringify({ access_token: { acrs, xms_cc: { values: ['cp1'] } } });
    const device = await startDeviceFlow(issuer, claims);

    const page = await (await fetch(device.verification_uri_complete)).text();
    await answerPage(device, { caller: 'ada' });
    const tokens = tokensSchema.parse(await (await poll(issuer, device)).json());
    const renewed = await fetch(issuer.tokenUrl, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: cliClientId,
        refresh_token: tokens.refresh_token ?? '',
      }),
    });

    expect(page).toContain('<strong>stronger sign-in</strong> (c1)');
    const granted = { acrs: ['c1'], xms_cc: ['cp1'] };
    expect(decodeJwt(tokens.access_token)).toMatchObject(granted);
    expect(decodeJwt(tokensSchema.parse(await renewed.json()).access_token)).toMatchObject(granted);
  });

  test('gives nothing to a device code that the person denied', async () => {
    const device = await startDeviceFlow(issuer);

    await answerPage(device, { deny: 'yes' });

    expect(await (await poll(issuer, device)).json()).toMatchObject({ error: 'access_denied' });
  });

  test.each([
    ['an unknown code', 404, { user_code: 'AAAA-AAAA', caller: 'ada' }],
    ['a workload as the person', 400, { caller: 'pipeline' }],
    ['no person', 400, {}],
    ['a form that is too large', 413, { caller: 'x'.repeat(5000) }],
  ])('refuses %s on the device page', async (_case, status, form) => {
    const device = await startDeviceFlow(issuer);

    expect((await answerPage(device, form)).status).toBe(status);
    expect(await (await poll(issuer, device)).json()).toMatchObject({
      error: 'authorization_pending',
    });
  });

  test('confirms a code only once', async () => {
    const device = await startDeviceFlow(issuer);

    expect((await answerPage(device, { caller: 'ada' })).status).toBe(200);
    expect((await answerPage(device, { caller: 'grace' })).status).toBe(404);
  });

  // A web page must not confirm a code behind the back of the person who sits at this machine.
  test('does not answer a form that another web page posted', async () => {
    const device = await startDeviceFlow(issuer);

    const response = await answerPage(device, { caller: 'ada' }, 'https://evil.example');

    expect(response.status).toBe(404);
  });

  test('does not answer under a name that was rebound to loopback', async () => {
    const url = new URL(`${issuer.url}/.well-known/openid-configuration`);
    const status = await new Promise((resolve, reject) => {
      const headers = { host: `evil.example:${url.port}` };
      getPlain(url, { headers }, (response) => resolve(response.resume().statusCode)).once(
        'error',
        reject,
      );
    });

    expect(status).toBe(404);
  });

  test('shows a code on the page as text, never as markup', async () => {
    const url = `${issuer.url}/oauth2/deviceauth?user_code=%22%3E%3Cscript%3E`;

    expect(await (await fetch(url)).text()).not.toContain('<script>');
  });

  test('keeps its key and the secrets for the next start, readable by the owner alone', async () => {
    const own = mkdtempSync(join(tmpdir(), 'sallyport-issuer-'));
    const first = await startIssuer({ folder: own, port: 0 });
    const port = Number(new URL(first.url).port);
    const { access_token: token } = tokensSchema.parse(
      await (await getTokens(first, 'ada')).json(),
    );
    await first.close();

    const second = await startIssuer({ folder: own, port });

    const keys = createRemoteJWKSet(new URL(second.jwksUrl));
    await expect(jwtVerify(token, keys, { issuer: second.url })).resolves.toBeDefined();
    expect(second.secrets).toEqual(first.secrets);
    const gatewayFile = nameSecretFile(own, 'gateway');
    expect(readFileSync(gatewayFile, 'utf8').trim()).toBe(first.secrets['gateway']);
    for (const file of [join(own, 'issuer-key.json'), gatewayFile]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    await second.close();
    rmSync(own, { recursive: true });
  });

  // `az` and MSAL refuse an authority that is not https.
  test('answers over TLS when it is given certificates', async () => {
    const tls = await ensureCertificates(folder, new Date());
    const secure = await startIssuer({ folder, port: 0, tls });
    const options = { ca: readFileSync(tls.ca), agent: false };

    const document = await new Promise((resolve, reject) => {
      const url = `${secure.url}/.well-known/openid-configuration`;
      get(url, options, (response) => resolve(json(response))).once('error', reject);
    });

    expect(document).toMatchObject({ issuer: secure.url, token_endpoint: secure.tokenUrl });
    await secure.close();
  });
});

async function getTokens(issuer: Issuer, name: string, secret?: string): Promise<Response> {
  return fetch(issuer.tokenUrl, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: name,
      client_secret: secret ?? issuer.secrets[name] ?? '',
      scope: 'api://sallyport/.default',
    }),
  });
}

async function startDeviceFlow(issuer: Issuer, claims?: string): Promise<Device> {
  const scope = 'openid offline_access Session.Request';
  const response = await fetch(`${issuer.url}/oauth2/devicecode`, {
    method: 'POST',
    body: new URLSearchParams({ client_id: cliClientId, scope, ...(claims && { claims }) }),
  });
  return deviceSchema.parse(await response.json());
}

async function poll(issuer: Issuer, device: Device): Promise<Response> {
  return fetch(issuer.tokenUrl, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: cliClientId,
      device_code: device.device_code,
    }),
  });
}

async function answerPage(
  device: Device,
  form: Readonly<Record<string, string>>,
  origin?: string,
): Promise<Response> {
  return fetch(device.verification_uri, {
    method: 'POST',
    body: new URLSearchParams({ user_code: device.user_code, ...form }),
    ...(origin && { headers: { origin } }),
  });
}
