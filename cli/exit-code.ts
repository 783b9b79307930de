import type { CloseReason } from '../lib/close-reason.ts';
import type { FailureCode } from '../lib/failure.ts';

/** The exit codes of the command, as `docs/cli.md` lists them. `ssh` answers with the code of OpenSSH instead. */
export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  signIn: 3,
  denied: 4,
  notFound: 5,
  conflict: 6,
  unavailable: 7,
  targetUnreachable: 8,
  waiting: 9,
  broken: 10,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const byFailure: Record<FailureCode, ExitCode> = {
  'access-denied': exitCodes.denied,
  'address-forbidden': exitCodes.denied,
  'api-version-unknown': exitCodes.unexpected,
  'approval-closed': exitCodes.conflict,
  'approval-own': exitCodes.denied,
  'audit-unavailable': exitCodes.unavailable,
  'body-too-large': exitCodes.unexpected,
  'broker-unavailable': exitCodes.unavailable,
  'byte-limit': exitCodes.conflict,
  'clock-skewed': exitCodes.unavailable,
  'connection-limit': exitCodes.conflict,
  'continuation-expired': exitCodes.conflict,
  'continuation-invalid': exitCodes.usage,
  'delegation-conflict': exitCodes.conflict,
  'gateway-draining': exitCodes.unavailable,
  'gateway-full': exitCodes.unavailable,
  'gateway-unknown': exitCodes.unavailable,
  'groups-unknown': exitCodes.denied,
  'issuer-unavailable': exitCodes.unavailable,
  'keys-unavailable': exitCodes.unavailable,
  'length-required': exitCodes.unexpected,
  locked: exitCodes.denied,
  'media-type-unsupported': exitCodes.unexpected,
  'method-not-allowed': exitCodes.unexpected,
  'needs-unmet': exitCodes.denied,
  'not-found': exitCodes.notFound,
  'origin-forbidden': exitCodes.unexpected,
  'policy-unavailable': exitCodes.unavailable,
  'precondition-required': exitCodes.unexpected,
  'rate-limited': exitCodes.conflict,
  'request-changed': exitCodes.conflict,
  'request-invalid': exitCodes.usage,
  'role-missing': exitCodes.denied,
  'session-changed': exitCodes.conflict,
  'session-conflict': exitCodes.conflict,
  'session-ended': exitCodes.conflict,
  'session-limit': exitCodes.conflict,
  'session-waiting': exitCodes.conflict,
  'source-forbidden': exitCodes.denied,
  'start-failed': exitCodes.targetUnreachable,
  'start-forbidden': exitCodes.targetUnreachable,
  'state-unavailable': exitCodes.unavailable,
  'step-up-needed': exitCodes.signIn,
  'target-changed': exitCodes.conflict,
  'target-refused': exitCodes.targetUnreachable,
  'target-stopped': exitCodes.targetUnreachable,
  'target-timeout': exitCodes.targetUnreachable,
  'target-without-address': exitCodes.targetUnreachable,
  'targets-throttled': exitCodes.unavailable,
  'targets-timeout': exitCodes.unavailable,
  'targets-unavailable': exitCodes.unavailable,
  'ticket-invalid': exitCodes.conflict,
  'ticket-leaked': exitCodes.conflict,
  'ticket-spent': exitCodes.conflict,
  'token-invalid': exitCodes.signIn,
  'token-missing': exitCodes.signIn,
  'upgrade-required': exitCodes.unexpected,
};

const byReason: Record<CloseReason, ExitCode> = {
  'client-closed': exitCodes.ok,
  'client-lost': exitCodes.unexpected,
  'target-closed': exitCodes.ok,
  'target-lost': exitCodes.targetUnreachable,
  'target-refused': exitCodes.targetUnreachable,
  'target-timeout': exitCodes.targetUnreachable,
  'bad-request': exitCodes.unexpected,
  'ticket-invalid': exitCodes.conflict,
  'ticket-spent': exitCodes.conflict,
  policy: exitCodes.denied,
  locked: exitCodes.denied,
  'target-gone': exitCodes.notFound,
  idle: exitCodes.conflict,
  'session-terminated': exitCodes.conflict,
  'session-deadline': exitCodes.conflict,
  'connection-limit': exitCodes.conflict,
  'byte-limit': exitCodes.conflict,
  'lease-lost': exitCodes.unavailable,
  'gateway-drained': exitCodes.unavailable,
  'gateway-failed': exitCodes.unavailable,
  'gateway-lost': exitCodes.unavailable,
};

const byStatus: Readonly<Record<number, ExitCode>> = {
  400: exitCodes.usage,
  401: exitCodes.signIn,
  403: exitCodes.denied,
  404: exitCodes.notFound,
  409: exitCodes.conflict,
  429: exitCodes.conflict,
};

// A gateway may name the reason of a refusal in a problem as well.
const byCode: ReadonlyMap<string, ExitCode> = new Map(
  Object.entries({ ...byReason, ...byFailure }),
);

/** Returns the exit code for a reason why a connection ended. */
export function findReasonExitCode(reason: CloseReason): ExitCode {
  return byReason[reason];
}

/** Returns the exit code for a problem: by its code, or by its HTTP status when the code is of a newer broker. */
export function findExitCode(problem: {
  readonly code?: string;
  readonly status: number;
}): ExitCode {
  const known = problem.code === undefined ? undefined : byCode.get(problem.code);
  if (known !== undefined) return known;
  if (problem.status >= 500) return exitCodes.unavailable;
  return byStatus[problem.status] ?? exitCodes.unexpected;
}
