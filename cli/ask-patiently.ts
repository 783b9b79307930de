import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';

const pauseMilliseconds = 5000;
const maxPauses = 24;

/** Asks again after a pause while the broker says `rate-limited`, for two minutes at most; other failures are thrown on. */
export async function askPatiently<T>(
  { wait }: Pick<Context, 'wait'>,
  ask: () => Promise<T>,
): Promise<T> {
  for (let pauses = 0; ; pauses += 1) {
    try {
      return await ask();
    } catch (failure) {
      const isBusy = failure instanceof CommandError && failure.code === 'rate-limited';
      if (!isBusy || pauses === maxPauses) throw failure;
      await wait(pauseMilliseconds);
    }
  }
}
