import type { CloseReason } from '../lib/close-reason.ts';
import type { CloseRequest, RedeemAnswer } from '../lib/gateway-call.ts';

/** Why a connection ended, where the gateway lived to see it. */
export type Ending = Exclude<CloseReason, 'gateway-lost'>;

// Node fires at once when a delay exceeds 32 bits.
const maxTimerMilliseconds = 2 ** 31 - 1;

/**
 * One redeemed connection, until it has ended. It is ordered to end (`cut`) by its deadline, by a lease that was not
 * renewed, or from outside; it has ended when whoever carries its bytes says so (`end`).
 */
export class Connection {
  readonly grant: RedeemAnswer;
  /** Payload bytes from client to target, so far. */
  bytesUp = 0;
  /** Payload bytes from target to client, so far. */
  bytesDown = 0;
  readonly #openedAt = performance.now();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #grace: NodeJS.Timeout;
  #deadline: NodeJS.Timeout | undefined;
  #cutReason: Ending | undefined;
  #cutListener: ((reason: Ending) => void) | undefined;
  #duration: number | undefined;

  constructor(grant: RedeemAnswer) {
    this.grant = grant;
    this.#grace = setTimeout(() => this.cut('lease-lost'), grant.graceSeconds * 1000);
    this.setDeadline(new Date(grant.deadline));
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
