import type { Client, Operation } from './api-client.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-code.ts';
import { formatDuration } from './format.ts';

/** What is waited for, as a line, and when the broker gives it up by itself. */
export type Prospect = { readonly line: string; readonly end: Date };

/** What it takes to follow something that takes its time. */
export type FollowPorts = Pick<Context, 'now' | 'wait' | 'terminal'> & {
  readonly client: Pick<Client, 'readOperation'>;
  readonly describe: () => Promise<Prospect>;
};

const tickMilliseconds = 1000;
const usualSeconds = 5;

// A request for an approval waits for hours; whoever waits for one does not mind half a minute.
const longestGrowthSeconds = 30;

// What a broker, or a proxy before it, can make us wait before we ask again.
const longestPauseSeconds = 60;

// Together some minutes: a restart of the broker is over by then.
const maxFailures = 8;

// The clocks of both sides may differ, and a broker gives up only when somebody looks.
const graceMilliseconds = 300_000;

/**
 * Asks the broker for an operation until it has ended, no faster than `Retry-After` says, and slower after a while and
 * while it does not answer. Shows what is waited for. Fails when the end that was told is long past.
 */
export async function followOperation(
  ports: FollowPorts,
  id: string,
  firstSeconds = usualSeconds,
): Promise<Operation> {
  const started = ports.now();
  let pauseSeconds = Math.min(longestPauseSeconds, firstSeconds);
  let failures = 0;
  try {
    for (;;) {
      await pause(ports, started, pauseSeconds);
      const reading = await readOnce(ports, id);
      if ('operation' in reading && !isRunning(reading.operation)) return reading.operation;
      failures = 'failure' in reading ? failures + 1 : 0;
      if ('failure' in reading && maxFailures < failures) throw reading.failure;
      pauseSeconds = findPause(reading, pauseSeconds, toSeconds(started, ports.now()));
    }
  } finally {
    ports.terminal.show(undefined);
  }
}

/** What one look at an operation came to. */
type Reading = { readonly operation: Operation } | { readonly failure: CommandError };

/** Returns how many seconds to wait before the next look, after the last pause and a whole time of waiting. */
export function findPause(reading: Reading, lastSeconds: number, waitedSeconds: number): number {
  const isFailure = 'failure' in reading;
  const { retryAfterSeconds = usualSeconds } = isFailure ? reading.failure : reading.operation;
  const grown = isFailure ? lastSeconds * 2 : Math.min(longestGrowthSeconds, waitedSeconds / 10);
  return Math.min(longestPauseSeconds, Math.max(1, retryAfterSeconds, grown));
}

async function readOnce({ client }: FollowPorts, id: string): Promise<Reading> {
  try {
    return { operation: await client.readOperation(id) };
  } catch (failure) {
    if (failure instanceof CommandError && isPassing(failure)) return { failure };
    throw failure;
  }
}

/** Whether a later try may do better: no answer, 429, or an outage of the broker or of what it needs. */
export function isPassing({ code, exitCode, retryAfterSeconds }: CommandError): boolean {
  const isBusy = code === 'rate-limited' || retryAfterSeconds !== undefined;
  return isBusy || exitCode === exitCodes.unavailable;
}

function isRunning({ status }: Operation): boolean {
  return status === 'NotStarted' || status === 'Running';
}

// In short waits, so that the time that is shown goes on.
async function pause(ports: FollowPorts, started: Date, seconds: number): Promise<void> {
  const { describe, now, terminal, wait } = ports;
  const { line, end } = await describe();
  if (end.getTime() + graceMilliseconds < now().getTime())
    throw new CommandError(exitCodes.unavailable, 'The broker let the time pass. Ask again.');
  for (let left = seconds * 1000; left > 0; left -= tickMilliseconds) {
    terminal.show(`${line}…`, formatDuration(toSeconds(started, now())));
    await wait(Math.min(left, tickMilliseconds));
  }
}

function toSeconds(from: Date, to: Date): number {
  return Math.floor((to.getTime() - from.getTime()) / 1000);
}
