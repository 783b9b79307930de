import type * as z from 'zod';
import { problemShape } from '../lib/problem.ts';
import { CommandError, toCommandError } from './command-error.ts';
import { exitCodes, findExitCode } from './exit-code.ts';
import type { HttpReply } from './http.ts';
import { parseJson } from './json.ts';
import { parseLoosely } from './parse-loosely.ts';
import { readRetryAfter } from './retry-after.ts';

/** What of a reply decides what it means. */
type Answer = Pick<HttpReply, 'status' | 'text'> & Partial<HttpReply>;

/** Returns the answer in its shape, without members that it does not know. Fails with the problem that it is, or with a sentence when it is neither. */
export function parseAnswer<T>(reply: Answer, shape: z.ZodType<T>, what: string): T {
  const body = parseJson(reply.text);
  if (reply.status < 200 || 300 <= reply.status)
    throw toRefusal(reply.status, body, what, readRetryAfter(reply.headers));
  const parsed = parseLoosely(shape, body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined ? '' : ` (/${issue.path.join('/')}: ${issue.message})`;
  throw new CommandError(
    exitCodes.unexpected,
    `The answer to ${what} is not what this version of sallyport understands${where}.`,
  );
}

/** Returns the failure that an answer without success means, from a broker, a gateway or whatever stands before them. */
export function toRefusal(
  status: number,
  body: unknown,
  what: string,
  retryAfterSeconds?: number,
): CommandError {
  const pause = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  const problem = parseLoosely(problemShape, body);
  if (problem.success) return toCommandError(problem.data, pause);
  const sentence = `${what} was answered with HTTP ${status}.`;
  return new CommandError(findExitCode({ status }), sentence, pause);
}
