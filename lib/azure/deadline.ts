/** Says that an operation did not end in time; what it did meanwhile is not known. */
export class Timeout extends Error {}

/** Runs an operation for at most so long: its signal is aborted then, and it fails with `Timeout` even if it does not listen. */
export async function within<T>(
  milliseconds: number,
  operation: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const timeout = new Timeout(`no answer within ${milliseconds} ms`);
    controller.abort(timeout);
    // Not every part of the SDK listens to the signal: a credential may wait much longer.
    reject(timeout);
  }, milliseconds);
  try {
    return await Promise.race([operation(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
