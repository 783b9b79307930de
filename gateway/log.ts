import * as z from 'zod';

/** Writes one line of the operator's log: an event name and plain values. No ticket, token or key may be in it. */
export type Log = (event: string, facts?: Readonly<Record<string, unknown>>) => void;

const maxCauseCharacters = 2000;

/** Returns a log that writes one JSON object per line, with its time first. */
export function createLog(write: (line: string) => void): Log {
  return (event, facts = {}) => {
    write(`${JSON.stringify({ time: new Date().toISOString(), event, ...facts })}\n`);
  };
}

/**
 * Describes an error and its causes in one line for the log. What a parser quotes of its input is left out, because
 * the input may be a secret.
 */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at !== undefined && parts.length < 5; at = findCause(at))
    parts.push(describeOne(at));
  return parts.join(': ').slice(0, maxCauseCharacters);
}

function describeOne(error: unknown): string {
  if (error instanceof z.ZodError)
    return `wrong shape at ${error.issues.map((issue) => issue.path.join('.') || 'the top').join(', ')}`;
  if (error instanceof SyntaxError) return 'not JSON';
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeOne).join(', ');
  if (typeof error === 'string') return error;
  return error instanceof Error ? error.message : 'not an Error';
}

function findCause(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
