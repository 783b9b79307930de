import * as z from 'zod';
import type { BrokerError, FailureCode } from './failure.ts';
import { needShape } from './need.ts';

type ProblemKind = { readonly status: number; readonly title: string };

const kinds: Record<FailureCode, ProblemKind> = {
  'access-denied': { status: 403, title: 'No policy permits this' },
  'address-forbidden': { status: 403, title: 'The address of the target may not be dialled' },
  'api-version-unknown': { status: 400, title: 'The api-version is not known' },
  'approval-closed': { status: 409, title: 'The request has been decided' },
  'approval-own': { status: 403, title: 'Nobody approves their own request' },
  'audit-unavailable': { status: 503, title: 'The audit log cannot be written' },
  'body-too-large': { status: 413, title: 'The request body is too large' },
  'broker-unavailable': { status: 503, title: 'The broker cannot be reached' },
  'byte-limit': { status: 403, title: 'The session has no byte left' },
  'clock-skewed': { status: 503, title: 'The clock is in doubt' },
  'connection-limit': { status: 429, title: 'The session has no connection left' },
  'continuation-expired': { status: 410, title: 'The continuation has expired' },
  'continuation-invalid': { status: 400, title: 'The continuation is not valid' },
  'delegation-conflict': { status: 409, title: 'The delegation id is taken' },
  'gateway-draining': { status: 503, title: 'The gateway is shutting down' },
  'gateway-full': { status: 503, title: 'The gateway has no connection left' },
  'gateway-unknown': { status: 403, title: 'The gateway is not known' },
  'groups-unknown': { status: 403, title: 'The groups of the caller are not known' },
  'issuer-unavailable': { status: 503, title: 'The keys of the issuer cannot be read' },
  'keys-unavailable': { status: 503, title: 'The signing key cannot be used' },
  'length-required': { status: 411, title: 'The request needs a content-length' },
  locked: { status: 403, title: 'A lock forbids this' },
  'media-type-unsupported': { status: 415, title: 'The request body must be JSON' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'needs-unmet': { status: 403, title: 'Policy asks for more' },
  'not-found': { status: 404, title: 'Not found' },
  'origin-forbidden': { status: 403, title: 'The origin is not allowed' },
  'policy-unavailable': { status: 503, title: 'The policy cannot be evaluated' },
  'precondition-required': { status: 428, title: 'The request needs If-Match' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'request-changed': { status: 412, title: 'The request is not the one that was read' },
  'request-invalid': { status: 400, title: 'The request is not valid' },
  'role-missing': { status: 403, title: 'The caller lacks a role' },
  'session-changed': { status: 409, title: 'The session has changed meanwhile' },
  'session-conflict': { status: 409, title: 'The session id is taken' },
  'session-ended': { status: 409, title: 'The session has ended' },
  'session-limit': { status: 429, title: 'The caller has too many open sessions' },
  'session-waiting': { status: 409, title: 'The session is not ready' },
  'source-forbidden': { status: 403, title: 'Policy does not permit this network' },
  'start-failed': { status: 409, title: 'The target cannot be started' },
  'start-forbidden': { status: 502, title: 'The broker may not start the target' },
  'state-unavailable': { status: 503, title: 'The state cannot be read or written' },
  'step-up-needed': { status: 401, title: 'A stronger sign-in is needed' },
  'target-changed': { status: 409, title: 'The target has changed' },
  'target-refused': { status: 502, title: 'The target refused the connection' },
  'target-stopped': { status: 409, title: 'The target is not running' },
  'target-timeout': { status: 504, title: 'The target did not answer' },
  'target-without-address': { status: 409, title: 'The target has no private address' },
  'targets-throttled': { status: 503, title: 'The source of targets is busy' },
  'targets-timeout': { status: 504, title: 'The source of targets did not answer' },
  'targets-unavailable': { status: 502, title: 'The source of targets failed' },
  'ticket-invalid': { status: 401, title: 'The ticket is not valid' },
  'ticket-leaked': { status: 401, title: 'The ticket came in a URL' },
  'ticket-spent': { status: 409, title: 'The ticket has been used' },
  'token-invalid': { status: 401, title: 'The token is not valid' },
  'token-missing': { status: 401, title: 'A token is needed' },
  'upgrade-required': { status: 426, title: 'The endpoint speaks WebSocket' },
};

/**
 * The one error body (RFC 9457), with the `error` member of the Azure REST guidelines so that both kinds of client find
 * the code.
 */
export const problemShape = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string().exactOptional(),
  faults: z.array(z.strictObject({ pointer: z.string(), detail: z.string() })).exactOptional(),
  advice: z.array(z.string()).exactOptional(),
  needs: z.array(needShape).exactOptional(),
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    details: z.array(z.strictObject({ code: z.string(), target: z.string(), message: z.string() })),
  }),
});

export type Problem = z.infer<typeof problemShape>;

/** Returns the HTTP status of a failure. */
export function findStatus(code: FailureCode): number {
  return kinds[code].status;
}

/** Turns a failure into the Problem Details body it becomes (RFC 9457, section 3). */
export function toProblem(failure: BrokerError, requestId?: string): Problem {
  const { status, title } = kinds[failure.code];
  const { faults, advice, needs } = failure.details;
  return {
    type: `urn:sallyport:problem:${failure.code}`,
    title,
    status,
    detail: failure.message,
    code: failure.code,
    ...(requestId === undefined ? {} : { requestId }),
    ...(faults === undefined ? {} : { faults: [...faults] }),
    ...(advice === undefined ? {} : { advice: [...advice] }),
    ...(needs === undefined ? {} : { needs: [...needs] }),
    error: {
      code: failure.code,
      message: failure.message,
      details: (faults ?? []).map(({ pointer, detail }) => ({
        code: 'fault',
        target: pointer,
        message: detail,
      })),
    },
  };
}
