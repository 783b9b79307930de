import type { Log } from './broker.ts';
import { BrokerError } from './failure.ts';
import type { FetchJson } from './fetch-json.ts';
import type { IssuerKey, KeySource } from './issuer-jwks.ts';
import { readIssuerKeys } from './issuer-jwks.ts';

const refreshSeconds = 24 * 3600;

/** Keys that could not be read again are believed no longer than this. */
const keepSeconds = 48 * 3600;

// Made-up key ids are cheap: without a pause each would cost a fetch.
const pauseSeconds = 30;

// Without any key nobody gets in, so a failed start is repaired sooner.
const firstPauseSeconds = 5;

/** Returns the key with the id, or undefined when the issuer has none. Fails with `issuer-unavailable`. */
export type FindIssuerKey = (kid: string) => Promise<IssuerKey | undefined>;

type Tools = { readonly fetchJson: FetchJson; readonly now: () => Date; readonly log: Log };

type Known = { readonly keys: ReadonlyMap<string, IssuerKey>; readonly readAt: number };

/**
 * Returns what finds the keys of an issuer. They are read on first use, daily, and when an id is not known, at most once
 * per 30 s (5 s while there are none). When that fails, the last good keys serve for another day.
 */
export function createIssuerKeys(source: KeySource, tools: Tools): FindIssuerKey {
  const cache = new KeyCache(source, tools);
  return (kid) => cache.find(kid);
}

class KeyCache {
  readonly #source: KeySource;
  readonly #tools: Tools;
  #known: Known | undefined;
  #failure: unknown;
  #triedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(source: KeySource, tools: Tools) {
    this.#source = source;
    this.#tools = tools;
  }

  async find(kid: string): Promise<IssuerKey | undefined> {
    const key = (await this.#keys()).get(kid);
    if (key !== undefined) return key;
    await this.#refresh();
    return (await this.#keys()).get(kid);
  }

  async #keys(): Promise<Known['keys']> {
    const usable = this.#usable();
    if (usable === undefined) await this.#refresh();
    // Nobody waits for keys while there are good ones.
    else if (this.#seconds() - usable.readAt > refreshSeconds) void this.#refresh();
    const { keys } = this.#usable() ?? this.#fail();
    return keys;
  }

  #usable(): Known | undefined {
    const known = this.#known;
    return known !== undefined && this.#seconds() - known.readAt <= keepSeconds ? known : undefined;
  }

  /** Reads the keys, or waits for the reading that is going on. Does nothing soon after a try, and never rejects. */
  async #refresh(): Promise<void> {
    if (this.#reading === undefined && this.#waitSeconds() === 0) {
      this.#triedAt = this.#seconds();
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
      });
    }
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { issuer } = this.#source;
    try {
      const keys = await readIssuerKeys(this.#source, this.#tools.fetchJson);
      this.#known = { keys, readAt: this.#triedAt };
      this.#tools.log('issuer.keys-read', { issuer, kids: [...keys.keys()] });
    } catch (cause) {
      this.#failure = cause;
      this.#tools.log('issuer.keys-failed', { issuer, cause: toReason(cause) });
    }
  }

  #waitSeconds(): number {
    const pause = this.#usable() === undefined ? firstPauseSeconds : pauseSeconds;
    const wait = this.#triedAt + pause - this.#seconds();
    // A clock that was set back must not stop the reading.
    return wait > pause ? 0 : Math.max(0, wait);
  }

  #fail(): never {
    throw new BrokerError(
      'issuer-unavailable',
      'The issuer of the token does not answer. Try again soon.',
      {
        cause: this.#failure,
        retryAfterSeconds: Math.max(1, this.#waitSeconds()),
      },
    );
  }

  #seconds(): number {
    return Math.floor(this.#tools.now().getTime() / 1000);
  }
}

/** The platform's `fetch` says only that it failed; why is in the cause. */
function toReason(cause: unknown): string {
  const isChained = cause instanceof Error && cause.cause !== undefined;
  return isChained ? `${cause.message}: ${toReason(cause.cause)}` : String(cause);
}
