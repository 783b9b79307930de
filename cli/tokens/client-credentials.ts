import type { Discovery } from '../api-client.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import type { Profile } from '../token-store.ts';
import { readMetadata, requestToken, toExpiry, toIssuerError, toResourceScope } from './oauth.ts';
import type { FormRequest, IssuerMetadata } from './oauth.ts';
import { chooseSecretIssuer, isMicrosoft, parseOwnScope } from './trusted-login.ts';

type ClientProfile = Extract<Profile, { kind: 'client-credentials' }>;

type Place = Pick<ClientProfile, 'tokenEndpoint' | 'authentication' | 'scope'>;

/** Signs a workload in with a client secret from the environment (RFC 6749, section 4.4). The secret is not stored. */
export async function signInAsClient(
  context: Context,
  broker: URL,
  login: NonNullable<Discovery['login']>,
): Promise<Profile> {
  const issuer = chooseSecretIssuer(context.settings, broker, login.issuer);
  const scope = chooseScope(context.settings.audience, issuer, login.scope);
  const metadata = await readMetadata(context.http, issuer);
  const place: Place = {
    tokenEndpoint: metadata.token_endpoint,
    authentication: chooseAuthentication(metadata),
    scope,
  };
  const { clientId, ...token } = await requestClientToken(context, place);
  const origin = { version: 1, kind: 'client-credentials', broker: broker.href } as const;
  return { ...origin, ...place, clientId, ...token };
}

/** Returns a renewed sign-in; the secret must still be in the environment. */
export async function renewClient(context: Context, profile: ClientProfile): Promise<Profile> {
  const token = await requestClientToken(context, profile);
  if (token.clientId !== profile.clientId)
    throw new CommandError(
      exitCodes.signIn,
      `The profile is of the client ${profile.clientId}, not of the one in SALLYPORT_CLIENT_ID. Run sallyport login --client-credentials again.`,
    );
  return { ...profile, ...token };
}

// Microsoft's issuer makes tokens for all of Azure; there the audience is in the scope.
function chooseScope(audience: string | undefined, issuer: string, named: string): string {
  const scope = toResourceScope(named);
  if (!isMicrosoft(issuer)) return scope;
  return audience === undefined ? parseOwnScope(scope) : `${audience}/.default`;
}

// A client that registered a secret may use Basic (RFC 6749, section 2.3.1), but several issuers accept only what a
// client was registered with, and that is mostly the form.
function chooseAuthentication(metadata: IssuerMetadata): Place['authentication'] {
  const methods = metadata.token_endpoint_auth_methods_supported ?? [];
  return methods.includes('client_secret_post') ? 'post' : 'basic';
}

async function requestClientToken(
  { http, now, settings }: Context,
  { tokenEndpoint, authentication, scope }: Place,
): Promise<Pick<ClientProfile, 'clientId' | 'accessToken' | 'expiresAt'>> {
  const { client } = settings;
  if (client === undefined)
    throw new CommandError(
      exitCodes.signIn,
      'Set SALLYPORT_CLIENT_ID and SALLYPORT_CLIENT_SECRET to sign in with client credentials.',
    );
  const form = { grant_type: 'client_credentials', ...(scope === '' ? {} : { scope }) };
  const request: FormRequest =
    authentication === 'basic'
      ? { url: tokenEndpoint, form, authorization: toBasic(client) }
      : {
          url: tokenEndpoint,
          form: { ...form, client_id: client.id, client_secret: client.secret },
        };
  const answer = await requestToken(http, request);
  if ('refusal' in answer) throw toIssuerError(answer.refusal, 'Check the client and its secret.');
  return {
    clientId: client.id,
    accessToken: answer.granted.access_token,
    expiresAt: toExpiry(answer.granted, now()),
  };
}

// Both halves are form-encoded before they are joined (RFC 6749, section 2.3.1).
function toBasic({ id, secret }: { readonly id: string; readonly secret: string }): string {
  const [encodedId, encodedSecret] = [id, secret].map((part) =>
    new URLSearchParams({ part }).toString().slice('part='.length),
  );
  return `Basic ${Buffer.from(`${encodedId}:${encodedSecret}`).toString('base64')}`;
}
