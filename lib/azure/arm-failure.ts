import * as z from 'zod';
import { BrokerError } from '../failure.ts';

// Azure may name an hour. A caller who waits that long has gone, and five minutes outlast its own windows.
const maxRetryAfterSeconds = 300;
const defaultRetryAfterSeconds = 5;

const answerShape = z.object({ statusCode: z.int() });

/** Returns the HTTP status that an error of the SDK carries, if ARM answered at all. */
export function findStatus(error: unknown): number | undefined {
  return answerShape.safeParse(error).data?.statusCode;
}

/** Makes the failure of a throttled call from the `Retry-After` header (RFC 9110, section 10.2.3), capped at 5 minutes. */
export function toThrottled(retryAfter: string | undefined): BrokerError {
  const asked = /^[0-9]{1,9}$/.test(retryAfter ?? '')
    ? Number(retryAfter)
    : defaultRetryAfterSeconds;
  const retryAfterSeconds = Math.min(Math.max(asked, 1), maxRetryAfterSeconds);
  return new BrokerError(
    'targets-throttled',
    'Azure is asked too often. Wait as long as Retry-After says, then try again.',
    { retryAfterSeconds },
  );
}

/**
 * Does the work, or fails with a `targets-…` code: at the latest when the signal is aborted, whether or not the work
 * listens to it.
 */
export async function attempt<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(new Error('the time is up'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), aborted.promise]);
  } catch (cause) {
    throw toFailure(cause, signal);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function toFailure(cause: unknown, signal: AbortSignal): BrokerError {
  if (cause instanceof BrokerError) return cause;
  if (signal.aborted)
    return new BrokerError('targets-timeout', 'Azure did not answer in time. Try again.', {
      cause,
    });
  return new BrokerError(
    'targets-unavailable',
    'Azure cannot be asked about targets now. Try again, and tell the operator if it stays so.',
    { cause },
  );
}
