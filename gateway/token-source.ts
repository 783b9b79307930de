import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { TokenSettings } from './config.ts';

/** Gives the gateway's own access token for the broker. */
export type TokenSource = {
  /** Returns a token that is good for some time yet. Rejects when there is none and none can be had. */
  readonly get: (signal: AbortSignal) => Promise<string>;
  /** Forgets a token that the broker did not accept. */
  readonly forget: (token: string) => void;
};

type Token = { readonly value: string; readonly renewAt: number; readonly expiresAt: number };

/** Sends one HTTP request; `fetch` outside of tests. */
export type Send = (url: URL, init: RequestInit) => Promise<Response>;

const requestMilliseconds = 5000;

// A token is renewed when a fifth of its life is left, so that an issuer may be away for that long.
const renewAtShare = 0.8;

const tokenShape = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number() });

// App Service and Container Apps give the time of expiry, in seconds since the epoch, as text.
const managedTokenShape = z.object({
  access_token: z.string().min(1),
  expires_on: z.coerce.number(),
});

/** Returns a token source that asks the issuer once at a time, and keeps a token until it is due. */
export function createTokenSource(settings: TokenSettings, send: Send): TokenSource {
  let token: Token | undefined;
  let renewing: Promise<Token> | undefined;
  const renew = async (): Promise<Token> => {
    renewing ??= requestToken(settings, send).finally(() => {
      renewing = undefined;
    });
    token = await renewing;
    return token;
  };
  return {
    get: async (signal) => {
      const now = Date.now();
      if (token !== undefined && now < token.renewAt) return token.value;
      const old = token !== undefined && now < token.expiresAt ? token : undefined;
      const renewed = renew();
      if (old === undefined) return (await withSignal(renewed, signal)).value;
      // Nobody waits for an issuer that hangs while the old token is good; the next call asks again.
      renewed.catch(() => {});
      return old.value;
    },
    forget: (value) => {
      if (token?.value === value) token = undefined;
    },
  };
}

async function requestToken(settings: TokenSettings, send: Send): Promise<Token> {
  const now = Date.now();
  if (settings.kind === 'credentials') {
    const answer = await sendForJson(send, ...(await toCredentialsRequest(settings)));
    const { access_token, expires_in } = tokenShape.parse(answer);
    return toToken(access_token, now, now + expires_in * 1000);
  }
  const answer = await sendForJson(send, ...toManagedRequest(settings));
  const { access_token, expires_on } = managedTokenShape.parse(answer);
  return toToken(access_token, now, expires_on * 1000);
}

function toToken(value: string, now: number, expiresAt: number): Token {
  return { value, renewAt: now + (expiresAt - now) * renewAtShare, expiresAt };
}

/** The client credentials grant (RFC 6749, section 4.4). The secret is read each time, so that it can be replaced. */
async function toCredentialsRequest(
  settings: Extract<TokenSettings, { kind: 'credentials' }>,
): Promise<[URL, RequestInit]> {
  const secret = (await readFile(settings.clientSecretFile, 'utf8')).trim();
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: settings.clientId,
    client_secret: secret,
    scope: settings.scope,
  });
  return [settings.url, { method: 'POST', body }];
}

function toManagedRequest(
  settings: Extract<TokenSettings, { kind: 'managed' }>,
): [URL, RequestInit] {
  const url = new URL(settings.endpoint);
  url.searchParams.set('resource', settings.resource);
  url.searchParams.set('api-version', '2019-08-01');
  return [url, { headers: { 'x-identity-header': settings.header } }];
}

// No part of an answer goes into an error: it may hold a token.
async function sendForJson(send: Send, url: URL, init: RequestInit): Promise<unknown> {
  const signal = AbortSignal.timeout(requestMilliseconds);
  const response = await send(url, { ...init, redirect: 'error', signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`the token endpoint answered ${response.status}`);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('the token endpoint did not answer in JSON');
  }
}

async function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(new Error('the token endpoint did not answer in time'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
