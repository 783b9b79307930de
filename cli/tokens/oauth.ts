import * as z from 'zod';
import { parseAnswer } from '../api-answer.ts';
import { CommandError } from '../command-error.ts';
import { exitCodes } from '../exit-code.ts';
import type { Http } from '../http.ts';
import { parseJson } from '../json.ts';

const metadataShape = z.object({
  issuer: z.string(),
  token_endpoint: z.url(),
  device_authorization_endpoint: z.url().optional(),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
});

/** What an issuer says about itself (OpenID Connect Discovery 1.0, section 3). */
export type IssuerMetadata = z.infer<typeof metadataShape>;

const tokenShape = z.object({
  access_token: z.string().min(1),
  expires_in: z.coerce.number().positive().default(300),
  refresh_token: z.string().min(1).optional(),
});

export type TokenGrant = z.infer<typeof tokenShape>;

const errorShape = z.object({ error: z.string(), error_description: z.string().optional() });

/** A refusal of a token endpoint (RFC 6749, section 5.2). */
export type OauthRefusal = z.infer<typeof errorShape>;

/** Returns the metadata of an issuer. Fails when the document is of another issuer (section 4.3). */
export async function readMetadata(http: Http, issuer: string): Promise<IssuerMetadata> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const reply = await http({ method: 'GET', url, headers: { accept: 'application/json' } });
  const metadata = parseAnswer(reply, metadataShape, url);
  if (metadata.issuer.replace(/\/$/, '') !== issuer.replace(/\/$/, ''))
    throw new CommandError(exitCodes.unexpected, `${url} is the document of another issuer.`);
  return metadata;
}

export type FormRequest = {
  readonly url: string;
  readonly form: Readonly<Record<string, string>>;
  readonly authorization?: string;
};

/** Posts a form to an endpoint of an issuer and returns what it grants, or its refusal as a value. */
export async function postForm<T>(
  http: Http,
  { url, form, authorization }: FormRequest,
  shape: z.ZodType<T>,
): Promise<{ readonly granted: T } | { readonly refusal: OauthRefusal }> {
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    ...(authorization === undefined ? {} : { authorization }),
  };
  const body = new URLSearchParams(form).toString();
  const reply = await http({ method: 'POST', url, headers, body });
  const refusal = errorShape.safeParse(parseJson(reply.text));
  if (400 <= reply.status && reply.status < 500 && refusal.success)
    return { refusal: refusal.data };
  return { granted: parseAnswer(reply, shape, url) };
}

/** Asks a token endpoint for a token and returns what it grants, or its refusal as a value. */
export async function requestToken(
  http: Http,
  request: FormRequest,
): Promise<{ readonly granted: TokenGrant } | { readonly refusal: OauthRefusal }> {
  return postForm(http, request, tokenShape);
}

/** Returns the failure that a refusal of the issuer is for the user. */
export function toIssuerError(refusal: OauthRefusal, advice: string): CommandError {
  // Entra adds the trace of its request below the first line.
  const [first = ''] = (refusal.error_description ?? '').split(/[\r\n]/);
  const reason = first === '' ? refusal.error : `${refusal.error}: ${first}`;
  return new CommandError(
    exitCodes.signIn,
    `The issuer refused the sign-in (${reason}). ${advice}`,
  );
}

/** Returns when a granted token expires. */
export function toExpiry(grant: TokenGrant, now: Date): string {
  return new Date(now.getTime() + grant.expires_in * 1000).toISOString();
}

const openIdScopes: ReadonlySet<string> = new Set(['openid', 'offline_access', 'profile', 'email']);

/** Returns the scopes that name a right at the broker, without those of OpenID Connect, which only people have. */
export function toResourceScope(scope: string): string {
  return scope
    .split(' ')
    .filter((part) => part !== '' && !openIdScopes.has(part))
    .join(' ');
}
