import { closeReasons } from '../lib/close-reason.ts';
import type { CloseReason } from '../lib/close-reason.ts';
import { CommandError } from './command-error.ts';
import { exitCodes, findReasonExitCode } from './exit-code.ts';

const lostSentence = 'The connection to the gateway was lost.';
const ticketSentence = 'The gateway did not accept the ticket. Try again.';
const failedSentence = 'The gateway failed. Try again.';

const sentences: Record<CloseReason, string> = {
  'client-closed': 'The connection was closed.',
  'client-lost': 'The local program went away in the middle.',
  'target-closed': 'The target closed the connection.',
  'target-lost': 'The connection to the target was lost.',
  'target-refused': 'The target does not accept connections on this port.',
  'target-timeout': 'The target did not answer.',
  'bad-request': 'The gateway did not understand the request.',
  'ticket-invalid': ticketSentence,
  'ticket-spent': ticketSentence,
  policy: 'Policy does not permit the connection.',
  locked: 'A lock forbids the connection.',
  'target-gone': 'The target is no longer there.',
  idle: 'The connection carried nothing for longer than policy permits.',
  'session-terminated': 'The session was terminated. Ask for a new one.',
  'session-deadline': 'The session reached its deadline. Ask for a new one.',
  'connection-limit': 'The session has no connection left. Close one first.',
  'byte-limit': 'The session has carried all the bytes that policy permits. Ask for a new one.',
  'lease-lost': 'The gateway lost touch with the broker and closed the connection.',
  'gateway-drained': 'The gateway is being replaced. Connect again.',
  'gateway-failed': failedSentence,
  'gateway-lost': failedSentence,
};

const sessionEndCode = 4410;

// For a gateway that gives no reason, or one of a later version.
const usualReasons: Readonly<Record<number, CloseReason>> = {
  1001: 'client-lost',
  4400: 'bad-request',
  4401: 'ticket-invalid',
  4403: 'policy',
  4404: 'target-gone',
  4408: 'idle',
  4409: 'ticket-spent',
  [sessionEndCode]: 'session-terminated',
  4413: 'connection-limit',
  4500: 'gateway-failed',
  4502: 'target-refused',
  4503: 'gateway-drained',
  4504: 'target-timeout',
};

type Close = { readonly code: number; readonly reason: string; readonly isCut?: boolean };

/** Whether the close says that the session as a whole is over, and not this connection alone. */
export function isSessionEnd(close: Close): boolean {
  return close.code === sessionEndCode;
}

/** Returns the failure that a close of the WebSocket means, or undefined when it was a proper end. */
export function findCloseError(close: Close): CommandError | undefined {
  if (close.code === 1000) return close.isCut === true ? toFailure('client-lost') : undefined;
  const usual = usualReasons[close.code];
  if (usual === undefined) return new CommandError(exitCodes.unavailable, lostSentence);
  // The code binds, the reason only says more: no reason turns a failure into a proper end.
  const given = closeReasons.find((known) => known === close.reason);
  const reason = given === undefined || findReasonExitCode(given) === exitCodes.ok ? usual : given;
  return toFailure(reason);
}

function toFailure(reason: CloseReason): CommandError {
  return new CommandError(findReasonExitCode(reason), sentences[reason], { code: reason });
}
