import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { DeviceCode, Provider } from 'oidc-provider';
import { audience, demoCallers, type DemoCaller } from './demo-callers.ts';
import { grantClaims } from './issuer-claims.ts';

const maxFormBytes = 4096;

/**
 * Answers the page where a person confirms a device code. It lists the demo callers and asks for no
 * password. A script confirms with one form post of `user_code` and `caller`, or `deny`.
 */
export async function serveDevicePage(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (request.method !== 'POST') {
    await showChoice(provider, url.searchParams.get('user_code') ?? '', response);
    return;
  }
  const form = await readForm(request);
  const code = await findCode(provider, form?.get('user_code') ?? '');
  const caller = people.find(({ name }) => name === form?.get('caller'));
  if (!form) send(response, 413, renderNote('The form is too large.'));
  else if (!code) send(response, 404, renderNote('This code is unknown, used or expired.'));
  else if (form.has('deny')) await deny(code, response);
  else if (!caller) send(response, 400, renderNote('Choose one of the callers.'));
  else await confirm(provider, { code, caller, response });
}

async function showChoice(
  provider: Provider,
  userCode: string,
  response: ServerResponse,
): Promise<void> {
  const code = await findCode(provider, userCode);
  send(response, 200, renderChoice(userCode, grantClaims(code?.params.claims).acrs ?? []));
}

const people = demoCallers.filter(({ kind }) => kind === 'user');

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  // A length that is missing (chunks) counts as too large.
  const length = Number(request.headers['content-length'] ?? Number.NaN);
  return length <= maxFormBytes ? new URLSearchParams(await text(request)) : undefined;
}

async function findCode(provider: Provider, typed: string): Promise<DeviceCode | undefined> {
  const code = await provider.DeviceCode.findByUserCode(typed.toUpperCase().replace(/\W/g, ''));
  const isOpen = code && !code.isExpired && !code.accountId && !code.error;
  return isOpen ? code : undefined;
}

async function confirm(
  provider: Provider,
  chosen: {
    readonly code: DeviceCode;
    readonly caller: DemoCaller;
    readonly response: ServerResponse;
  },
): Promise<void> {
  const { caller, code, response } = chosen;
  const scope = code.params.scope ?? 'openid';
  const grant = new provider.Grant({ accountId: caller.oid, clientId: code.clientId });
  grant.addOIDCScope(scope);
  grant.addResourceScope(audience, scope);
  Object.assign(code, {
    accountId: caller.oid,
    grantId: await grant.save(),
    authTime: Math.floor(Date.now() / 1000),
    claims: { access_token: grantClaims(code.params.claims) },
    resource: audience,
    scope,
  });
  await code.save();
  send(response, 200, renderNote(`You are ${caller.displayName}. You can close this page.`));
}

async function deny(code: DeviceCode, response: ServerResponse): Promise<void> {
  code.error = 'access_denied';
  await code.save();
  send(response, 200, renderNote('Denied. You can close this page.'));
}

function renderChoice(userCode: string, acrs: readonly string[]): string {
  const buttons = people.map(
    ({ displayName, name }) => `<p><button name="caller" value="${name}">${displayName}</button>`,
  );
  const isStrong = acrs.length > 0;
  return `<form method="post">
${isStrong ? `<p>This asks for a <strong>stronger sign-in</strong> (${escapeHtml(acrs.join())}).` : ''}
<p><label>Code <input name="user_code" value="${escapeHtml(userCode)}" autofocus required></label>
<p>Confirm only if your own command line shows this code. Continue as:
${buttons.join('\n')}
<p><button name="deny" value="yes">I did not ask for this</button>
</form>`;
}

function renderNote(note: string): string {
  return `<p>${escapeHtml(note)}`;
}

function send(response: ServerResponse, status: number, content: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    // No other page may show this one in a frame and have it clicked.
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
  });
  response.end(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sallyport: local sign-in</title>
<style>body{font:1.1em system-ui;max-width:32em;margin:3em auto;padding:0 1em}</style>
<h1>Local sign-in</h1>
<p><strong>A demo: these callers have no password.</strong> The issuer answers this machine alone.
${content}
</html>
`);
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
