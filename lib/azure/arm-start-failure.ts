import * as z from 'zod';
import { BrokerError } from '../failure.ts';
import type { PowerState } from '../target.ts';
import { findStatus } from './arm-failure.ts';

// An end of what is in the way is a matter of a minute or two.
const busySeconds = 20;

const refusalShape = z.object({ code: z.string(), message: z.string().catch('') });

const capacityCodes: ReadonlySet<string> = new Set([
  'AllocationFailed',
  'ZonalAllocationFailed',
  'OverconstrainedAllocationRequest',
  'OverconstrainedZonalAllocationRequest',
  'SkuNotAvailable',
]);

const busyCodes: ReadonlySet<string> = new Set([
  'AnotherOperationInProgress',
  'Conflict',
  'ConflictingConcurrentWriteNotAllowed',
  'OperationPreempted',
  'RetryableError',
]);

const goingDown: ReadonlySet<PowerState> = new Set(['stopping', 'deallocating']);

/**
 * Returns the failure that a refusal of ARM to start a VM means, given what the VM does if ARM spoke of a conflict; the
 * error itself when it is no refusal but a failure to answer.
 */
export function toStartFailure(error: unknown, power?: PowerState): unknown {
  const status = findStatus(error);
  if (status === 403)
    return new BrokerError(
      'start-forbidden',
      'The broker may not start this target. Tell the operator, or start it yourself.',
      { cause: error },
    );
  if (status === undefined || !isRefusal(status)) return error;
  return explainRefusal(error, power !== undefined && goingDown.has(power));
}

/** Returns the failure that the error of an operation, or a refusal, means: for now, when it says when to ask again. */
export function explainRefusal(cause: unknown, isGoingDown = false): BrokerError {
  const { code, message } = refusalShape.catch({ code: '', message: '' }).parse(cause);
  if (isGoingDown || busyCodes.has(code))
    return toFailed(cause, 'Azure is still busy with the target. Try again in a minute.', {
      retryAfterSeconds: busySeconds,
    });
  if (capacityCodes.has(code))
    return toFailed(
      cause,
      'Azure has no machine of this size to spare there now. Try again later, or tell the operator.',
    );
  if (code === 'QuotaExceeded' || (code === 'OperationNotAllowed' && /quota/i.test(message)))
    return toFailed(cause, 'The quota of the subscription is used up. Tell the operator.');
  return toFailed(cause, 'Azure refused to start the target. Tell the operator.');
}

// 401, 408 and 429 say nothing about the VM.
function isRefusal(status: number): boolean {
  return 400 <= status && status < 500 && ![401, 408, 429].includes(status);
}

function toFailed(
  cause: unknown,
  message: string,
  details: { readonly retryAfterSeconds?: number } = {},
): BrokerError {
  return new BrokerError('start-failed', message, { ...details, cause });
}
