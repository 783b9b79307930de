/** What one connection may take of the bytes of its session. */
export type Share = {
  /** Takes bytes that are about to be carried, and returns how many of them may be: all but at the very end. */
  readonly take: (bytes: number) => number;
  /** Says that there was more to carry than was left: every connection without a byte left is cut. */
  readonly exhaust: () => void;
  /** Gives up the share; what it took stays taken. */
  readonly leave: () => void;
};

type Holder = { readonly maxBytes: number; readonly cut: () => void };

/**
 * The payload bytes of one byte-limited session, both directions together, as this process counts them: its own exactly,
 * those of other processes as of the last lease.
 *
 * INVARIANT: no share takes a byte after which more than its limit has been taken here and elsewhere.
 */
export class ByteLimit {
  readonly #holders = new Set<Holder>();
  #here = 0;
  #elsewhere = 0;
  #emptySince = performance.now();

  /** How long no connection has been here, in milliseconds; 0 while there is one. */
  get emptyMilliseconds(): number {
    return this.#holders.size === 0 ? performance.now() - this.#emptySince : 0;
  }

  /** Adds a connection. Its limit is its own: policy may have become stricter since an older one was let in. */
  join(maxBytes: number, cut: () => void): Share {
    const holder = { maxBytes, cut };
    this.#holders.add(holder);
    return {
      take: (bytes) => {
        const allowed = Math.min(bytes, Math.max(0, maxBytes - this.#used()));
        this.#here += allowed;
        return allowed;
      },
      exhaust: () => this.#cutUsedUp(),
      leave: () => {
        this.#holders.delete(holder);
        this.#emptySince = performance.now();
      },
    };
  }

  /** Notes what the broker knows. A count never falls: what it has not heard of yet was carried all the same. */
  note({ here = 0, elsewhere }: { readonly here?: number; readonly elsewhere: number }): void {
    this.#here = Math.max(this.#here, here);
    this.#elsewhere = Math.max(this.#elsewhere, elsewhere);
    this.#cutUsedUp();
  }

  #used(): number {
    return this.#here + this.#elsewhere;
  }

  #cutUsedUp(): void {
    for (const { maxBytes, cut } of this.#holders) if (maxBytes <= this.#used()) cut();
  }
}
