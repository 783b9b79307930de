import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { Log } from './broker.ts';
import type { Caller } from './caller.ts';
import { readEntraCaller } from './claims-entra.ts';
import { readOidcCaller } from './claims-oidc.ts';
import { BrokerError } from './failure.ts';
import type { FetchJson } from './fetch-json.ts';
import type { FindIssuerKey } from './issuer-keys.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import type { TrustedIssuer } from './trusted-issuer.ts';
import { toIssuerUrls } from './trusted-issuer.ts';

const maxTokenBytes = 16 * 1024;

const skewSeconds = 60;

/** Managed identities get tokens for a day and some minutes; whatever lives longer is no access token. */
const maxTokenSeconds = 25 * 3600;

const absent = z.never().optional();

// Unknown headers are allowed (RFC 7515, section 4), but none that chooses the key or must be understood. Our own tickets
// and endorsements have types of their own, and so does everything else that is no access token (RFC 8725, section 3.11).
const headerShape = z.object({
  alg: z.enum(['RS256', 'ES256']),
  typ: z.enum(['JWT', 'at+jwt']).optional(),
  kid: z.string().min(1).max(256),
  crit: absent,
  jku: absent,
  jwk: absent,
  x5u: absent,
  x5c: absent,
});

const payloadShape = z.object({
  iss: z.string(),
  // Kubernetes writes a list of one.
  aud: z.union([z.string(), z.tuple([z.string()]).transform(([audience]) => audience)]),
  exp: z.int(),
  iat: z.int(),
  nbf: z.int().optional(),
});

/** What identities are proven with. */
export type IdentitySetup = {
  readonly issuers: readonly TrustedIssuer[];
  readonly fetchJson: FetchJson;
  readonly now: () => Date;
  readonly log: Log;
};

type Trust = { readonly issuer: TrustedIssuer; readonly findKey: FindIssuerKey };

/**
 * Returns what tells the caller from a bearer token. It fails with `token-invalid` and one message for every reason, so
 * that a forger learns nothing, and with `issuer-unavailable` when the keys of the issuer cannot be read.
 */
export function createIdentify(setup: IdentitySetup): (token: string) => Promise<Caller> {
  const trusts = new Map(setup.issuers.flatMap((issuer) => toTrusts(issuer, setup)));
  return async (token) => {
    try {
      return await readToken(token, trusts, setup.now());
    } catch (cause) {
      throw cause instanceof BrokerError ? cause : refuse(cause);
    }
  };
}

/**
 * Returns the bearer token of a request (RFC 6750, section 2.1). Fails with `token-missing`, or with `token-invalid` when
 * the header is repeated or holds something else. No other header says who calls: the platform's can be forged.
 */
export function readBearer(headers: { readonly get: (name: string) => string | null }): string {
  const header = headers.get('authorization');
  if (header === null)
    throw new BrokerError('token-missing', 'Send a token: "authorization: Bearer …".');
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(header) ?? [];
  if (token === undefined)
    throw refuse(new Error('the authorization header holds no single bearer token'));
  return token;
}

function refuse(cause: unknown): BrokerError {
  return new BrokerError('token-invalid', 'Get a new token for this service and try again.', {
    cause,
  });
}

function toTrusts(
  issuer: TrustedIssuer,
  setup: IdentitySetup,
): readonly (readonly [string, Trust])[] {
  const urls = toIssuerUrls(issuer);
  const tenant = issuer.kind === 'entra' ? { tenant: issuer.tenant } : {};
  // The v1 and v2 tokens of a tenant are signed with the same keys.
  const findKey = createIssuerKeys({ issuer: urls[0], ...tenant }, setup);
  return urls.map((url) => [url, { issuer, findKey }] as const);
}

async function readToken(
  token: string,
  trusts: ReadonlyMap<string, Trust>,
  now: Date,
): Promise<Caller> {
  if (token.length > maxTokenBytes) throw new Error('the token is too large');
  const decoded = jwt.decode(token, { complete: true });
  const header = headerShape.parse(decoded?.header);
  const trust = trusts.get(payloadShape.parse(decoded?.payload).iss);
  if (trust === undefined) throw new Error('the issuer is not trusted');
  // Kubernetes writes no type; at Entra one without is no access token.
  if (trust.issuer.kind === 'entra' && header.typ === undefined)
    throw new Error('no type is named');
  const found = await trust.findKey(header.kid);
  if (found === undefined) throw new Error('the issuer has no key with this id');
  const seconds = Math.floor(now.getTime() / 1000);
  // The key decides the algorithm, never the token (RFC 8725, section 3.1).
  const payload: unknown = jwt.verify(token, found.key, {
    algorithms: [found.algorithm],
    clockTimestamp: seconds,
    clockTolerance: skewSeconds,
  });
  checkPayload(payloadShape.parse(payload), trust.issuer, seconds);
  return trust.issuer.kind === 'entra'
    ? readEntraCaller(trust.issuer, payload)
    : readOidcCaller(trust.issuer, payload);
}

function checkPayload(
  { aud, exp, iat }: z.infer<typeof payloadShape>,
  issuer: TrustedIssuer,
  nowSeconds: number,
): void {
  if (!issuer.audience.includes(aud)) throw new Error('the token is for another service');
  if (exp - iat > maxTokenSeconds) throw new Error('the token lives too long');
  if (iat > nowSeconds + skewSeconds) throw new Error('the token is from the future');
}
