import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { closeServer, listen, serveJson } from './stand-in-server.ts';
import type { Reply, Seen } from './stand-in-server.ts';

export type StandInIssuer = {
  readonly url: string;
  readonly seen: Seen[];
  /** Every access and refresh token that was handed out. */
  readonly tokens: Set<string>;
  /** What polls of the device code are answered with before the token. */
  pending: string[];
  expiresIn: number;
  close: () => Promise<void>;
};

/** Starts an OIDC issuer with the device flow, refresh tokens that are good once, and client credentials. */
export async function startIssuer(): Promise<StandInIssuer> {
  const server = createServer();
  const url = await listen(server);
  const issuer: StandInIssuer = {
    url,
    seen: [],
    tokens: new Set(),
    pending: [],
    expiresIn: 3600,
    close: async () => closeServer(server),
  };
  serveJson(server, (seen) => {
    issuer.seen.push(seen);
    return answerIssuer(issuer, seen);
  });
  return issuer;
}

function answerIssuer(issuer: StandInIssuer, { path, body }: Seen): Reply {
  const { url } = issuer;
  if (path === '/.well-known/openid-configuration')
    return {
      status: 200,
      body: {
        issuer: url,
        token_endpoint: `${url}/token`,
        device_authorization_endpoint: `${url}/device`,
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      },
    };
  if (path === '/device')
    return {
      status: 200,
      body: {
        device_code: 'device-code-secret',
        user_code: 'WDJB-MJHT',
        verification_uri: `${url}/enter`,
        expires_in: 900,
        interval: 1,
        message: `Open ${url}/enter and enter WDJB-MJHT.`,
      },
    };
  return grant(issuer, new URLSearchParams(body));
}

function grant(issuer: StandInIssuer, form: URLSearchParams): Reply {
  const type = form.get('grant_type');
  const error = type?.endsWith('device_code') === true ? issuer.pending.shift() : undefined;
  if (error !== undefined) return { status: 400, body: { error } };
  const refresh = form.get('refresh_token');
  if (refresh !== null && !issuer.tokens.delete(refresh))
    return { status: 400, body: { error: 'invalid_grant', error_description: 'It was used.' } };
  const access = `access-${randomUUID()}`;
  const next = `refresh-${randomUUID()}`;
  issuer.tokens.add(access).add(next);
  const isPerson = type !== 'client_credentials';
  return {
    status: 200,
    body: {
      access_token: access,
      token_type: 'Bearer',
      expires_in: issuer.expiresIn,
      ...(isPerson ? { refresh_token: next } : {}),
    },
  };
}
