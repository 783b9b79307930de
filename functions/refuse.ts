import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { BrokerError } from '../lib/failure.ts';
import { findStatus, toProblem } from '../lib/problem.ts';

/** Turns what was thrown into an answer: Problem Details for a failure, a bare 500 for a bug or an outage. */
export function toRefusal(
  failure: unknown,
  headers: HttpRequest['headers'],
  requestId: string,
): HttpResponseInit {
  const common = { 'cache-control': 'no-store', 'x-ms-request-id': requestId };
  if (!(failure instanceof BrokerError)) return { status: 500, headers: common };
  const { code, details } = failure;
  const status = findStatus(code);
  return {
    status,
    body: JSON.stringify(toProblem(failure, requestId)),
    headers: {
      ...common,
      'content-type': toMediaType(headers.get('accept')),
      'x-ms-error-code': code,
      ...(status === 401 ? { 'www-authenticate': toChallenge(failure) } : {}),
      ...(details.allow === undefined ? {} : { allow: details.allow.join(', ') }),
      ...(details.retryAfterSeconds === undefined
        ? {}
        : { 'retry-after': String(details.retryAfterSeconds) }),
    },
  };
}

// Azure clients read an error's code only from application/json, and they ask for just that.
function toMediaType(accept: string | null): string {
  const types = accept ?? '';
  const wantsPlain = types.includes('application/json') && !types.includes('problem+json');
  return wantsPlain ? 'application/json' : 'application/problem+json';
}

// RFC 6750, section 3: without a token the challenge carries no error.
function toChallenge({ code, details: { acr } }: BrokerError): string {
  if (acr !== undefined) return toClaimsChallenge(acr);
  return code === 'token-missing' ? 'Bearer' : 'Bearer error="invalid_token"';
}

/** Asks the client for a token with the authentication context, in the form that MSAL passes on to Entra. */
function toClaimsChallenge(acr: string): string {
  const claims = { access_token: { acrs: { essential: true, value: acr } } };
  const encoded = Buffer.from(JSON.stringify(claims)).toString('base64');
  return `Bearer realm="", error="insufficient_claims", claims="${encoded}"`;
}
