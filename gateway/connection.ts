import type { CloseReason } from '../lib/close-reason.ts';
import type { CloseRequest, RedeemAnswer } from '../lib/gateway-call.ts';
import type { ByteLimit, Share } from './byte-limit.ts';

/** Why a connection ended, where the gateway lived to see it. */
export type Ending = Exclude<CloseReason, 'gateway-lost'>;

// Node fires at once when a delay exceeds 32 bits.
const maxTimerMilliseconds = 2 ** 31 - 1;

/**
 * One redeemed connection, until it has ended. It is ordered to end (`cut`) by its deadline, by a lease that was not
 * renewed, by the byte limit of its session, or from outside; it has ended when whoever carries its bytes says so (`end`).
 */
export class Connection {
  readonly grant: RedeemAnswer;
  #bytesUp = 0;
  #bytesDown = 0;
  readonly #openedAt = performance.now();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #grace: NodeJS.Timeout;
  readonly #share: Share | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #cutReason: Ending | undefined;
  #cutListener: ((reason: Ending) => void) | undefined;
  #duration: number | undefined;

  /** The limit is that of all connections of its session, where its bytes are limited. */
  constructor(grant: RedeemAnswer, limit?: ByteLimit) {
    this.grant = grant;
    this.#share = limit?.join(grant.terms.maxBytes ?? Infinity, () => this.cut('byte-limit'));
    this.#grace = setTimeout(() => this.cut('lease-lost'), grant.graceSeconds * 1000);
    this.setDeadline(new Date(grant.deadline));
  }

  /** Payload bytes from client to target, so far. */
  get bytesUp(): number {
    return this.#bytesUp;
  }

  /** Payload bytes from target to client, so far. */
  get bytesDown(): number {
    return this.#bytesDown;
  }

  /** Counts payload from the client, and returns how much of it may go on to the target: less only at the byte limit. */
  countUp(bytes: number): number {
    const allowed = this.#share === undefined ? bytes : this.#share.take(bytes);
    this.#bytesUp += allowed;
    return allowed;
  }

  /** Counts payload from the target, likewise. */
  countDown(bytes: number): number {
    const allowed = this.#share === undefined ? bytes : this.#share.take(bytes);
    this.#bytesDown += allowed;
    return allowed;
  }

  /** Says that more had to be carried than may be, which cuts this and every other connection without a byte left. */
  exhaust(): void {
    this.#share?.exhaust();
  }

  /** Resolves with the reason once the connection has ended. */
  get ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  /** Notes that the broker has renewed the lease just now. */
  renew(): void {
    if (this.#duration === undefined) this.#grace.refresh();
  }

  /** Sets when the session ends. */
  setDeadline(deadline: Date): void {
    clearTimeout(this.#deadline);
    if (this.#duration !== undefined) return;
    const left = Math.max(0, deadline.getTime() - Date.now());
    this.#deadline = setTimeout(
      () =>
        left > maxTimerMilliseconds ? this.setDeadline(deadline) : this.cut('session-deadline'),
      Math.min(left, maxTimerMilliseconds),
    );
  }

  /** Orders the connection to end. The first order stands. */
  cut(reason: Ending): void {
    if (this.#cutReason !== undefined) return;
    this.#cutReason = reason;
    this.#cutListener?.(reason);
  }

  /** Calls the listener when the connection is ordered to end, or at once when it has been. There is one listener. */
  whenCut(listener: (reason: Ending) => void): void {
    this.#cutListener = listener;
    if (this.#cutReason !== undefined) listener(this.#cutReason);
  }

  /** Says that the connection has ended. The first reason stands. */
  end(reason: Ending): void {
    if (this.#duration !== undefined) return;
    this.#duration = Math.round(performance.now() - this.#openedAt);
    clearTimeout(this.#deadline);
    clearTimeout(this.#grace);
    this.#share?.leave();
    this.#ended.resolve(reason);
  }

  /** Returns the report of the end, as of now. */
  toReport(reason: Ending, instance: string): CloseRequest {
    return {
      instance,
      session: this.grant.session,
      reason,
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
      durationMilliseconds: this.#duration ?? 0,
    };
  }
}
