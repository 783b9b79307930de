import * as z from 'zod';
import { type ClaimsRequest, formatClaims } from '../claims-challenge.ts';
import { CommandError, UnreachableError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import type { Profile } from '../token-store.ts';
import { postForm, readMetadata, requestToken, toExpiry, toIssuerError } from './oauth.ts';
import type { FormRequest, TokenGrant } from './oauth.ts';

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const deviceShape = z.object({
  device_code: z.string().min(1),
  user_code: z.string().min(1),
  verification_uri: z.url(),
  expires_in: z.coerce.number().positive(),
  interval: z.coerce.number().nonnegative().default(5),
  /** Entra's own sentence for the user. */
  message: z.string().optional(),
});

export type DeviceProfile = Extract<Profile, { kind: 'device' }>;

type DeviceAnswer = z.infer<typeof deviceShape>;

/** Where people sign in, as which client and for what. */
export type Login = { readonly issuer: string; readonly clientId: string; readonly scope: string };

/**
 * Signs a person in by the device flow (RFC 8628): shows where to enter which code, and waits until it is done. The
 * token is asked for with these claims, and tells the broker that this client answers challenges.
 */
export async function signInByDevice(
  context: Context,
  broker: URL,
  login: Login,
  wanted?: ClaimsRequest,
): Promise<DeviceProfile> {
  const { http, now } = context;
  // An issuer that knows no claims parameter ignores it (RFC 6749, section 3.1).
  const claims = formatClaims(wanted);
  const metadata = await readMetadata(http, login.issuer);
  const url = metadata.device_authorization_endpoint;
  if (url === undefined)
    throw new CommandError(exitCodes.signIn, `${login.issuer} does not offer the device flow.`);
  const scope = [...new Set([...login.scope.split(' '), 'openid', 'offline_access'])].join(' ');
  const form = { client_id: login.clientId, scope, claims };
  const device = await postForm(http, { url, form }, deviceShape);
  if ('refusal' in device) throw toIssuerError(device.refusal, 'Ask the operator of the broker.');
  showCode(context, device.granted);
  const tokenEndpoint = metadata.token_endpoint;
  const grant = await pollForToken(context, device.granted, {
    url: tokenEndpoint,
    form: {
      grant_type: deviceGrant,
      device_code: device.granted.device_code,
      client_id: login.clientId,
      claims,
    },
  });
  return {
    version: 1,
    kind: 'device',
    broker: broker.href,
    accessToken: grant.access_token,
    expiresAt: toExpiry(grant, now()),
    scope,
    issuer: login.issuer,
    tokenEndpoint,
    clientId: login.clientId,
    ...(grant.refresh_token === undefined ? {} : { refreshToken: grant.refresh_token }),
  };
}

/** Returns a renewed sign-in. A refresh token is replaced when the issuer gives a new one (RFC 6749, section 6). */
export async function renewDevice(
  { http, now }: Context,
  profile: DeviceProfile,
): Promise<Profile> {
  const { clientId, refreshToken, scope, tokenEndpoint } = profile;
  if (refreshToken === undefined)
    throw new CommandError(exitCodes.signIn, 'The sign-in has expired. Run sallyport login again.');
  const form = {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: clientId,
    scope,
    claims: formatClaims(),
  };
  const answer = await requestToken(http, { url: tokenEndpoint, form });
  if ('refusal' in answer) throw toIssuerError(answer.refusal, 'Run sallyport login again.');
  return {
    ...profile,
    accessToken: answer.granted.access_token,
    expiresAt: toExpiry(answer.granted, now()),
    refreshToken: answer.granted.refresh_token ?? refreshToken,
  };
}

function showCode({ settings, terminal }: Context, device: DeviceAnswer): void {
  const { verification_uri: uri, user_code: code, message } = device;
  if (settings.json) {
    const expiresInSeconds = device.expires_in;
    terminal.printJson({ event: 'code', verificationUri: uri, userCode: code, expiresInSeconds });
    return;
  }
  terminal.note(message ?? `To sign in, open ${uri} and enter the code ${code}.`);
}

async function pollForToken(
  { http, wait, now }: Context,
  device: DeviceAnswer,
  request: FormRequest,
): Promise<TokenGrant> {
  const end = now().getTime() + device.expires_in * 1000;
  let seconds = device.interval;
  while (now().getTime() + seconds * 1000 < end) {
    await wait(seconds * 1000);
    const answer = await requestToken(http, request).catch(toLostAnswer);
    // Slower for good, and slower still when the issuer does not answer (RFC 8628, section 3.5).
    if (answer === undefined) seconds = Math.max(1, seconds * 2);
    else if ('granted' in answer) return answer.granted;
    else if (answer.refusal.error === 'slow_down') seconds += 5;
    else if (answer.refusal.error !== 'authorization_pending')
      throw toIssuerError(answer.refusal, 'Run sallyport login again.');
  }
  throw new CommandError(exitCodes.signIn, 'The code has expired. Run sallyport login again.');
}

function toLostAnswer(failure: unknown): undefined {
  if (failure instanceof UnreachableError) return undefined;
  throw failure;
}
