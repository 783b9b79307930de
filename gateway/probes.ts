import type { TokenVerifier } from '../lib/endorsed-token.ts';
import { BrokerError } from '../lib/failure.ts';
import type { ProbeReport } from '../lib/gateway-call.ts';
import type { Probe, ProbeOutcome } from '../lib/probe.ts';
import { verifyProbe } from '../lib/probe.ts';
import type { Log } from './log.ts';
import { describeError } from './log.ts';
import { dial } from './target-socket.ts';

/** What probes need. */
export type ProbeParts = {
  readonly verifier: () => TokenVerifier;
  readonly mayDial: (host: string) => boolean;
  readonly report: (report: Omit<ProbeReport, 'instance'>) => Promise<void>;
  readonly log: Log;
};

const dialMilliseconds = 3000;
const maxRunning = 16;

// More than verification allows a clock to be off, so that what is forgotten is refused when it comes again.
const skewMilliseconds = 10_000;

/**
 * Tries ports for the broker: a connection is made and closed at once, and no byte is sent. Each order is carried out
 * once. One for which there is no room, or whose report failed, is left to the next lease, which brings it again.
 */
export class Probes {
  readonly #parts: ProbeParts;
  /** When each order that was begun expires, by its id. */
  readonly #begun = new Map<string, Date>();
  #running = 0;

  constructor(parts: ProbeParts) {
    this.#parts = parts;
  }

  /** Begins what was ordered and has not begun. */
  take(tokens: readonly string[]): void {
    const now = new Date();
    this.#forget(now);
    for (const token of tokens) {
      if (this.#running >= maxRunning) return;
      const probe = this.#read(token, now);
      if (probe === undefined || this.#begun.has(probe.id)) continue;
      this.#begun.set(probe.id, probe.expiresAt);
      void this.#run(probe);
    }
  }

  #read(token: string, now: Date): Probe | undefined {
    try {
      return verifyProbe(token, this.#parts.verifier(), now);
    } catch (error) {
      // Mostly one that has expired meanwhile.
      this.#parts.log('probe-refused', { cause: describeError(error) });
      return undefined;
    }
  }

  async #run(probe: Probe): Promise<void> {
    const { id, session } = probe;
    this.#running += 1;
    try {
      const outcome = await this.#try(probe);
      this.#parts.log('probe-done', { probe: id, session, outcome });
      await this.#parts.report({ session, probe: id, outcome });
    } catch (error) {
      this.#begun.delete(id);
      this.#parts.log('probe-unreported', { probe: id, session, cause: describeError(error) });
    } finally {
      this.#running -= 1;
    }
  }

  async #try({ id, host, port }: Probe): Promise<ProbeOutcome> {
    if (!this.#parts.mayDial(host)) {
      this.#parts.log('probe-forbidden', { probe: id });
      return 'refused';
    }
    try {
      const target = await dial(host, port, AbortSignal.timeout(dialMilliseconds));
      target.destroy();
      return 'open';
    } catch (error) {
      return error instanceof BrokerError && error.code === 'target-refused'
        ? 'refused'
        : 'timeout';
    }
  }

  // An order that was begun may come again until it has expired.
  #forget(now: Date): void {
    for (const [id, expiresAt] of this.#begun)
      if (expiresAt.getTime() + skewMilliseconds < now.getTime()) this.#begun.delete(id);
  }
}
