import type { Need } from './need.ts';

/**
 * Every reason for which the broker or a gateway refuses, as a closed list. The status of each is in `problem.ts`.
 */
export type FailureCode =
  | 'access-denied'
  | 'address-forbidden'
  | 'api-version-unknown'
  | 'approval-closed'
  | 'approval-own'
  | 'audit-unavailable'
  | 'body-too-large'
  | 'broker-unavailable'
  | 'byte-limit'
  | 'clock-skewed'
  | 'connection-limit'
  | 'continuation-expired'
  | 'continuation-invalid'
  | 'delegation-conflict'
  | 'gateway-draining'
  | 'gateway-full'
  | 'gateway-unknown'
  | 'groups-unknown'
  | 'issuer-unavailable'
  | 'keys-unavailable'
  | 'length-required'
  | 'locked'
  | 'media-type-unsupported'
  | 'method-not-allowed'
  | 'needs-unmet'
  | 'not-found'
  | 'origin-forbidden'
  | 'policy-unavailable'
  | 'precondition-required'
  | 'rate-limited'
  | 'request-changed'
  | 'request-invalid'
  | 'role-missing'
  | 'session-changed'
  | 'session-conflict'
  | 'session-ended'
  | 'session-limit'
  | 'session-waiting'
  | 'source-forbidden'
  | 'start-failed'
  | 'start-forbidden'
  | 'state-unavailable'
  | 'step-up-needed'
  | 'target-changed'
  | 'target-refused'
  | 'target-stopped'
  | 'target-timeout'
  | 'target-without-address'
  | 'targets-throttled'
  | 'targets-timeout'
  | 'targets-unavailable'
  | 'ticket-invalid'
  | 'ticket-leaked'
  | 'ticket-spent'
  | 'token-invalid'
  | 'token-missing'
  | 'upgrade-required';

/** One thing that is wrong with a request body: where (a JSON Pointer, RFC 6901) and what to do about it. */
export type Fault = { readonly pointer: string; readonly detail: string };

/** What a failure may carry besides its sentence. Everything here is shown to the caller, but for `cause`. */
export type FailureDetails = {
  readonly cause?: unknown;
  readonly faults?: readonly Fault[];
  readonly advice?: readonly string[];
  /** What policy still asks for. */
  readonly needs?: readonly Need[];
  /** The authentication context that a claims challenge asks for. */
  readonly acr?: string;
  readonly retryAfterSeconds?: number;
  readonly allow?: readonly string[];
};

/**
 * A refusal that the caller may read. The message is a sentence that says what to do; the `cause` is for the log.
 */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: FailureCode;
  readonly details: FailureDetails;

  constructor(code: FailureCode, message: string, details: FailureDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.details = details;
  }
}
