import { setTimeout as delay } from 'node:timers/promises';
import { RestError } from '@azure/data-tables';
import * as z from 'zod';
import { BrokerError } from '../failure.ts';
import { Timeout, within } from './deadline.ts';
import { toCause } from './sdk-error.ts';

/** One call to the table service. `sent` counts how often it was sent before, each time without a clear answer. */
export type Operation<T> = (signal: AbortSignal, sent: number) => Promise<T>;

// The SDK has no timeout, and its own retries turn a stored but unanswered insert into a conflict with oneself: it is
// sent again here. All attempts and pauses together take five seconds.
const attempts = [
  { pauseMilliseconds: 0, timeoutMilliseconds: 2000 },
  { pauseMilliseconds: 100, timeoutMilliseconds: 2000 },
  { pauseMilliseconds: 200, timeoutMilliseconds: 700 },
] as const;

// A single call tells its error code in the body, a transaction in the error itself.
const bodyShape = z.object({ odataError: z.object({ code: z.string() }) });

/** Runs a call until its outcome is clear, within five seconds; otherwise fails with `state-unavailable`. */
export async function attempt<T>(operation: Operation<T>): Promise<T> {
  let failure: unknown;
  for (const [sent, { pauseMilliseconds, timeoutMilliseconds }] of attempts.entries()) {
    try {
      if (sent > 0) await delay(pauseMilliseconds);
      return await within(timeoutMilliseconds, (signal) => operation(signal, sent));
    } catch (error) {
      failure = error;
      if (!isPassing(error)) break;
    }
  }
  throw new BrokerError('state-unavailable', 'Try again in a few seconds.', {
    cause: toCause(failure, findErrorCode(failure)),
    retryAfterSeconds: 5,
  });
}

/** Returns the code by which the table service names an error, for example `EntityAlreadyExists`. */
export function findErrorCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined;
  const body = bodyShape.safeParse(error.details);
  return body.success ? body.data.odataError.code : error.code;
}

/** An answer that cannot be what the service said, for example a transaction's answer cut short. */
export class UnclearAnswer extends Error {}

function isPassing(error: unknown): boolean {
  if (error instanceof Timeout || error instanceof UnclearAnswer) return true;
  if (!(error instanceof RestError)) return false;
  const { statusCode = 0 } = error;
  // Without a status the wire broke, without a code the answer did; 408 and 429 come from proxies.
  if (statusCode === 0 || statusCode === 408 || statusCode === 429) return true;
  return statusCode >= 500 || !isServiceCode(findErrorCode(error));
}

function isServiceCode(code: string | undefined): boolean {
  return code !== undefined && code !== RestError.PARSE_ERROR;
}
