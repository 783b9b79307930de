/**
 * Every reason for which the broker or a gateway refuses, as a closed list. The status of each is in `problem.ts`.
 */
export type FailureCode =
  | 'access-denied'
  | 'address-forbidden'
  | 'api-version-unknown'
  | 'audit-unavailable'
  | 'body-too-large'
  | 'broker-unavailable'
  | 'clock-skewed'
  | 'connection-limit'
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
  | 'not-found'
  | 'origin-forbidden'
  | 'policy-unavailable'
  | 'rate-limited'
  | 'request-invalid'
  | 'role-missing'
  | 'session-changed'
  | 'session-conflict'
  | 'session-ended'
  | 'session-limit'
  | 'state-unavailable'
  | 'target-changed'
  | 'target-refused'
  | 'target-stopped'
  | 'target-timeout'
  | 'target-without-address'
  | 'targets-throttled'
  | 'targets-timeout'
  | 'targets-unavailable'
  | 'ticket-invalid'
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
