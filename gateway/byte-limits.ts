import type { LeaseAnswer, RedeemAnswer } from '../lib/gateway-call.ts';
import { ByteLimit } from './byte-limit.ts';

// Longer than a redemption takes: one under way may have been answered before the close of another connection of its
// session was recorded, and then this process alone knows what that one carried.
const keptMilliseconds = 60_000;

/** The byte limits of the sessions that have connections at this process, or had until just now. */
export class ByteLimits {
  readonly #bySession = new Map<string, ByteLimit>();

  /** Returns the limit that a granted connection shares with others of its session; undefined when it has none. */
  find({ session, terms, bytesBefore }: RedeemAnswer): ByteLimit | undefined {
    if (terms.maxBytes === undefined) return undefined;
    const limit = this.#bySession.get(session) ?? new ByteLimit();
    this.#bySession.set(session, limit);
    if (bytesBefore !== undefined) limit.note(bytesBefore);
    return limit;
  }

  /** Notes what other processes have carried, which may cut connections here. */
  note(elsewhere: LeaseAnswer['bytesElsewhere']): void {
    for (const { session, bytes } of elsewhere)
      this.#bySession.get(session)?.note({ elsewhere: bytes });
  }

  /** Forgets sessions that have had no connection for a minute and whose closes, by session, are all reported. */
  sweep(unreported: ReadonlySet<string>): void {
    for (const [session, { emptyMilliseconds }] of this.#bySession)
      if (keptMilliseconds < emptyMilliseconds && !unreported.has(session))
        this.#bySession.delete(session);
  }
}
