import { BrokerError } from '../lib/failure.ts';

/** A place for one connection. */
export type Place = {
  /** Counts the place for a caller. Fails with `connection-limit` when the caller has no more. */
  readonly assign: (caller: string) => void;
  /** Gives the place back; again has no effect. */
  readonly release: () => void;
};

const retryAfterSeconds = 5;

/** The connections that one process takes, in total and of one caller; those under way count. */
export class Capacity {
  readonly #max: number;
  readonly #maxPerCaller: number;
  readonly #byCaller = new Map<string, number>();
  #taken = 0;

  constructor(max: number, maxPerCaller: number) {
    this.#max = max;
    this.#maxPerCaller = maxPerCaller;
  }

  /** Takes a place, or fails with `gateway-full`. */
  take(): Place {
    if (this.#taken >= this.#max)
      throw new BrokerError('gateway-full', 'Try again in a few seconds.', { retryAfterSeconds });
    this.#taken += 1;
    let holder: string | undefined;
    let isTaken = true;
    return {
      assign: (caller) => {
        this.#count(caller, 1);
        holder = caller;
      },
      release: () => {
        if (!isTaken) return;
        isTaken = false;
        this.#taken -= 1;
        if (holder !== undefined) this.#count(holder, -1);
      },
    };
  }

  #count(caller: string, change: 1 | -1): void {
    const count = (this.#byCaller.get(caller) ?? 0) + change;
    if (count > this.#maxPerCaller)
      throw new BrokerError(
        'connection-limit',
        `One caller may hold ${this.#maxPerCaller} connections at a gateway. Close some first.`,
        { retryAfterSeconds },
      );
    if (count === 0) this.#byCaller.delete(caller);
    else this.#byCaller.set(caller, count);
  }
}
