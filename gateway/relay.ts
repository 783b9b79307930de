import type { Duplex } from 'node:stream';
import { closeCodes } from '../lib/close-reason.ts';
import { ClientSocket } from './client-socket.ts';
import type { Connection, Ending } from './connection.ts';
import { cutFrame } from './frame-writer.ts';
import { describeError } from './log.ts';
import type { Log } from './log.ts';
import type { TargetSocket } from './target-socket.ts';

/** What is joined. */
export type Joint = {
  readonly socket: Duplex;
  /** What the client sent after its handshake. */
  readonly head: Buffer;
  readonly target: TargetSocket;
  readonly connection: Connection;
  /** Whether an empty message ends a direction (`sallyport.v1`). */
  readonly hasHalfClose: boolean;
};

const maxTimerMilliseconds = 2 ** 31 - 1;

/**
 * Carries bytes both ways until either side ends, breaks or is ordered to. Each direction holds one chunk at most: the
 * next is read when the other side's kernel has taken the last. Both sockets are closed and the connection is ended
 * exactly once, with the reason.
 */
export function relay(joint: Joint, log: Log): void {
  new Relay(joint, log).start(joint.head);
}

class Relay {
  readonly #client: ClientSocket;
  readonly #target: TargetSocket;
  readonly #connection: Connection;
  readonly #hasHalfClose: boolean;
  readonly #log: Log;
  #isUpEnded = false;
  #isDownEnded = false;
  #isFinished = false;
  #lastPayloadAt = performance.now();
  #idle: NodeJS.Timeout | undefined;

  constructor({ socket, target, connection, hasHalfClose }: Joint, log: Log) {
    this.#client = new ClientSocket(socket, {
      payload: (bytes, done) => this.#carryUp(bytes, done),
      empty: () => this.#endUp(),
      over: (reason, cause) => this.#endClient(reason, cause),
    });
    this.#target = target;
    this.#connection = connection;
    this.#hasHalfClose = hasHalfClose;
    this.#log = log;
  }

  start(head: Buffer): void {
    this.#watchIdle();
    this.#target.start({
      frame: (frame, payloadBytes, done) => this.#carryDown(frame, payloadBytes, done),
      end: () => this.#endDown(),
      closed: (isLost) =>
        this.#finish(isLost && !this.#isDownEnded ? 'target-lost' : 'target-closed'),
    });
    this.#client.start(head);
    this.#connection.whenCut((reason) => this.#finish(reason));
  }

  #carryUp(bytes: Buffer, done: () => void): void {
    if (this.#isUpEnded) {
      this.#finish('bad-request');
      return;
    }
    const allowed = this.#connection.countUp(bytes.length);
    this.#lastPayloadAt = performance.now();
    this.#target.send(allowed < bytes.length ? bytes.subarray(0, allowed) : bytes, done);
    if (allowed < bytes.length) this.#connection.exhaust();
  }

  #carryDown(frame: Buffer, payloadBytes: number, done: () => void): void {
    const allowed = this.#connection.countDown(payloadBytes);
    this.#lastPayloadAt = performance.now();
    this.#client.send(
      allowed < payloadBytes ? cutFrame(frame, payloadBytes, allowed) : frame,
      done,
    );
    if (allowed < payloadBytes) this.#connection.exhaust();
  }

  #endUp(): void {
    if (!this.#hasHalfClose || this.#isUpEnded) return;
    this.#isUpEnded = true;
    this.#target.end();
    if (this.#isDownEnded) this.#finish('target-closed');
  }

  #endDown(): void {
    this.#isDownEnded = true;
    if (this.#hasHalfClose) this.#client.sendEmpty();
    if (!this.#hasHalfClose) this.#finish('target-closed');
    else if (this.#isUpEnded) this.#finish('client-closed');
  }

  #endClient(reason: Ending, cause: unknown): void {
    if (cause !== undefined) {
      const connection = this.#connection.grant.connection;
      this.#log('connection-failed', { connection, reason, cause: describeError(cause) });
    }
    this.#finish(reason);
  }

  #watchIdle(): void {
    const { maxIdleSeconds } = this.#connection.grant.terms;
    if (maxIdleSeconds === undefined) return;
    const left = this.#lastPayloadAt + maxIdleSeconds * 1000 - performance.now();
    if (left <= 0) this.#finish('idle');
    else this.#idle = setTimeout(() => this.#watchIdle(), Math.min(left, maxTimerMilliseconds));
  }

  #finish(reason: Ending): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    clearTimeout(this.#idle);
    this.#client.close(closeCodes[reason], reason);
    if (reason === 'client-closed' || reason === 'target-closed') this.#target.finish();
    else this.#target.destroy();
    this.#connection.end(reason);
  }
}
