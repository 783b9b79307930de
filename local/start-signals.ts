import { once } from 'node:events';

// npm sends on what the terminal has sent already, so one Ctrl-C may arrive twice.
const echoMilliseconds = 500;
const closeMilliseconds = 15_000;
const pollMilliseconds = 500;

/**
 * Returns a signal that aborts when the user or the system asks the program to end. A second request, or a close that
 * takes longer than 15 s, ends it at once with code 1.
 */
export function watchSignals(note: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  let askedAt: number | undefined;
  const stop = (): void => {
    if (askedAt !== undefined && echoMilliseconds < performance.now() - askedAt) process.exit(1);
    if (askedAt !== undefined) return;
    askedAt = performance.now();
    note('\nStopping …');
    setTimeout(() => process.exit(1), closeMilliseconds).unref();
    controller.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  if (process.env['npm_lifecycle_event'] !== undefined) watchParent(stop);
  return controller.signal;
}

/** Resolves when the signal aborts, or has. */
export async function waitForAbort(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

// A kill of npm ends npm and its shell, and the shell sends nothing on.
function watchParent(stop: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, pollMilliseconds);
  timer.unref();
}
