import { BrokerError } from '../lib/failure.ts';

/** A place for one connection. */
export type Place = {
  /** Counts the place for whoever holds it. Fails with `connection-limit` when the holder has no more. */
  readonly assign: (holder: string) => void;
  /** Gives the place back; again has no effect. */
  readonly release: () => void;
};

const retryAfterSeconds = 5;

/** How much one process takes on, in total and for one holder; what is under way counts. */
export class Capacity {
  readonly #max: number;
  readonly #maxPerHolder: number;
  readonly #advice: string;
  readonly #byHolder = new Map<string, number>();
  // Each resolves when its place is given back.
  readonly #taken = new Set<Promise<void>>();

  /** The advice is for a holder that has no place left. */
  constructor(max: number, maxPerHolder: number, advice: string) {
    this.#max = max;
    this.#maxPerHolder = maxPerHolder;
    this.#advice = advice;
  }

  /** Takes a place, or fails with `gateway-full`. */
  take(): Place {
    if (this.#taken.size >= this.#max)
      throw new BrokerError('gateway-full', 'Try again in a few seconds.', { retryAfterSeconds });
    const { promise: released, resolve } = Promise.withResolvers<void>();
    this.#taken.add(released);
    let holder: string | undefined;
    return {
      assign: (wanted) => {
        this.#count(wanted, 1);
        holder = wanted;
      },
      release: () => {
        if (!this.#taken.delete(released)) return;
        if (holder !== undefined) this.#count(holder, -1);
        resolve();
      },
    };
  }

  /** Resolves when no place is taken, those of connections under way included. */
  async whenEmpty(): Promise<void> {
    while (this.#taken.size > 0) await Promise.all(this.#taken);
  }

  #count(holder: string, change: 1 | -1): void {
    const count = (this.#byHolder.get(holder) ?? 0) + change;
    if (count > this.#maxPerHolder)
      throw new BrokerError('connection-limit', this.#advice, { retryAfterSeconds });
    if (count === 0) this.#byHolder.delete(holder);
    else this.#byHolder.set(holder, count);
  }
}
