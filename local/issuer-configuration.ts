import { randomBytes } from 'node:crypto';
import type { Token, TokenContext } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import { audience, cliClientId, toClaims, type DemoCaller } from './demo-callers.ts';

/** The paths below the issuer's URL. They are those of ADFS, which `az` and MSAL know. */
export const issuerPaths = {
  device: '/oauth2/deviceauth',
  deviceAuthorization: '/oauth2/devicecode',
  token: '/oauth2/token',
  keys: '/discovery/keys',
} as const;

// The public client of `az login --use-device-code`.
const azClientId = '04b07795-8ddb-461a-bbee-02f9e1bf7b46';
const resourceScope = 'Session.Request api://sallyport/.default api://broker/.default';
const hourSeconds = 3600;
const daySeconds = 86_400;

/** Returns what `oidc-provider` needs to give the callers their tokens, and nothing else. */
export function createConfiguration(options: {
  readonly callers: readonly DemoCaller[];
  readonly secrets: Readonly<Record<string, string>>;
  readonly key: object;
}): object {
  const { callers, key, secrets } = options;
  const clients = [
    ...callers.map(({ name }) => toConfidentialClient(name, secrets[name] ?? '')),
    toPublicClient(cliClientId),
    toPublicClient(azClientId),
  ];
  return {
    adapter: createMemoryAdapter(),
    clients,
    claims: { openid: ['sub', 'name', 'preferred_username', 'tid', 'oid'] },
    conformIdTokenClaims: false,
    // Entra's form of the parameter, which the provider's own feature refuses: claims of an access token alone.
    extraParams: { claims: null },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    features: createFeatures(),
    findAccount: (_context: unknown, id: string) => {
      const caller = callers.find(({ oid }) => oid === id);
      return caller && { accountId: id, claims: () => toClaims(caller, cliClientId) };
    },
    formats: {
      customizers: {
        jwt: (context: TokenContext, token: Token, draft: Draft) => {
          draft.payload = { ...toPayload(callers, token, draft.payload), ...findAsked(context) };
          // Entra's type; the default says "at+jwt".
          return Object.assign(draft, { header: { typ: 'JWT' } });
        },
      },
    },
    jwks: { keys: [key] },
    routes: {
      code_verification: issuerPaths.device,
      device_authorization: issuerPaths.deviceAuthorization,
      authorization: '/oauth2/authorize',
      jwks: issuerPaths.keys,
      token: issuerPaths.token,
    },
    scopes: ['openid', 'offline_access', 'profile', ...resourceScope.split(' ')],
    ttl: {
      AccessToken: hourSeconds,
      ClientCredentials: hourSeconds,
      DeviceCode: 600,
      Grant: daySeconds,
      IdToken: hourSeconds,
      RefreshToken: daySeconds,
    },
  };
}

function createFeatures(): object {
  const resource = {
    audience,
    scope: resourceScope,
    accessTokenFormat: 'jwt',
    accessTokenTTL: hourSeconds,
    jwt: { sign: { alg: 'RS256' } },
  };
  return {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: false },
    // Whatever a client asks for, its access token is for the broker.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => resource,
      useGrantedResource: () => true,
    },
    pushedAuthorizationRequests: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: false },
  };
}

function toConfidentialClient(name: string, secret: string): object {
  return {
    client_id: name,
    client_secret: secret,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  };
}

function toPublicClient(name: string): object {
  return {
    client_id: name,
    application_type: 'native',
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'none',
  };
}

type Payload = Readonly<Record<string, unknown>>;

type Draft = { payload: Payload };

/** Returns the claims that were granted because they were asked for, at the sign-in or at that before a renewal. */
function findAsked({ oidc: { entities } }: TokenContext): object {
  return (entities.DeviceCode ?? entities.RefreshToken)?.claims?.access_token ?? {};
}

function toPayload(callers: readonly DemoCaller[], token: Token, draft: Payload): Payload {
  const { clientId, jti } = token;
  // A person of the device flow, or a caller that came with a secret of its own.
  const caller = token.accountId
    ? callers.find(({ oid }) => oid === token.accountId)
    : callers.find(({ name }) => name === clientId);
  if (!caller) throw new Error(`no caller has the id ${token.accountId ?? clientId}`);
  const { aud, exp, iat, iss } = draft;
  return { iss, aud, exp, iat, nbf: iat, uti: jti, ...toClaims(caller, clientId) };
}
