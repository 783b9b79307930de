import type { TokenVerifier } from '../lib/endorsed-token.ts';
import { BrokerError } from '../lib/failure.ts';
import type { LeakReport } from '../lib/gateway-call.ts';
import { isHandle } from '../lib/handle.ts';
import { verifyTicket } from '../lib/ticket.ts';
import type { Capacity } from './capacity.ts';
import type { Log } from './log.ts';
import { describeError } from './log.ts';

/** What the search for leaked tickets needs. */
export type LeakParts = {
  readonly verifier: () => TokenVerifier;
  /** Counts the handles that the broker is asked about, by the address of the client. */
  readonly handles: Capacity;
  /** Resolves with `refused` when it was no ticket. */
  readonly report: (leak: Omit<LeakReport, 'instance'>) => Promise<'taken' | 'refused'>;
  readonly log: Log;
};

// What a ticket may live, and what clocks may differ: later it is dead, and dies no more.
const keptMilliseconds = 95_000;
const maxCandidates = 3;
const maxAttempts = 2;

/**
 * Looks for tickets in URLs, where every proxy on the way and the history of a browser keep them. One that is found is
 * reported to the broker, which spends it, before anything is answered.
 */
export class Leaks {
  readonly #parts: LeakParts;
  /** When each was reported, and how that goes: a ticket that comes again costs no call. */
  readonly #reported = new Map<string, { readonly at: number; readonly done: Promise<boolean> }>();

  constructor(parts: LeakParts) {
    this.#parts = parts;
  }

  /** Fails with `ticket-leaked` when a ticket of ours is in the URL. What only looks like one costs no call. */
  async refuse(url: string, clientIp: string | undefined): Promise<void> {
    for (const ticket of findCandidates(url))
      if (await this.#isLeak(ticket, clientIp))
        throw new BrokerError(
          'ticket-leaked',
          'The ticket came in a URL and is void. Ask for a new one, and send it in Authorization.',
        );
  }

  async #isLeak(ticket: string, clientIp: string | undefined): Promise<boolean> {
    const known = this.#reported.get(ticket);
    if (known !== undefined) return known.done;
    if (isHandle(ticket)) return this.#askAbout(ticket, clientIp);
    if (!this.#isGenuine(ticket)) return false;
    // Ours, whatever the broker says to it.
    await this.#report(ticket, clientIp);
    return true;
  }

  #isGenuine(ticket: string): boolean {
    try {
      verifyTicket(ticket, this.#parts.verifier(), new Date());
      return true;
    } catch {
      return false;
    }
  }

  // A handle says nothing by itself, and anyone can send what looks like one.
  async #askAbout(handle: string, clientIp: string | undefined): Promise<boolean> {
    const place = this.#parts.handles.take();
    try {
      place.assign(clientIp ?? '');
      return await this.#report(handle, clientIp);
    } finally {
      place.release();
    }
  }

  async #report(ticket: string, clientIp: string | undefined): Promise<boolean> {
    this.#forget();
    const done = this.#send(ticket, clientIp);
    this.#reported.set(ticket, { at: performance.now(), done });
    const isTaken = await done;
    if (!isTaken) this.#reported.delete(ticket);
    return isTaken;
  }

  /** Resolves with whether the broker has spent it. Never rejects. */
  async #send(ticket: string, clientIp: string | undefined): Promise<boolean> {
    const leak = { ticket, ...(clientIp === undefined ? {} : { clientIp }) };
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      try {
        return (await this.#parts.report(leak)) === 'taken';
      } catch (error) {
        this.#parts.log('leak-unreported', { clientIp, cause: describeError(error) });
      }
    }
    return false;
  }

  #forget(): void {
    const before = performance.now() - keptMilliseconds;
    for (const [ticket, { at }] of this.#reported) if (at < before) this.#reported.delete(ticket);
  }
}

/** Returns the parts of a URL that have the form of a ticket, JWTs first. */
function findCandidates(url: string): readonly string[] {
  const words = decode(url)
    .split(/[^\w.-]+/)
    .map((word) => word.replace(/^ticket\./, ''));
  const jwts = words.filter((word) => /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(word));
  return [...jwts, ...words.filter(isHandle)].slice(0, maxCandidates);
}

function decode(url: string): string {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
}
