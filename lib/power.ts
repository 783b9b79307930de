import type { Target } from './target.ts';

/**
 * What starts and stops targets. Every call only asks, and returns once the request was accepted, long before anything
 * has come of it; asking again does no harm. Every call fails with a `targets-…` code when the answer is in doubt, and
 * with `target-changed` when there is no such target any more.
 */
export type Power = {
  /**
   * Asks for the target to be started, which is fine when it starts or runs already, and returns the operation that
   * `checkStart` takes, where there is one. Fails with `start-forbidden` when the broker lacks the right, and with
   * `start-failed` when the start is refused: for now when the failure says after how many seconds to ask again.
   */
  readonly start: (target: Target, signal: AbortSignal) => Promise<string | undefined>;
  /**
   * Fails with `start-failed` when the operation has come to nothing. Resolves while it goes on, when it has done its
   * work, and when nothing is known of it any more: the power state of the target tells more then.
   */
  readonly checkStart: (target: Target, operation: string, signal: AbortSignal) => Promise<void>;
  /** Asks for the target to be stopped and its machine to be given back. Its disks and its private address stay. */
  readonly deallocate: (target: Target, signal: AbortSignal) => Promise<void>;
};
