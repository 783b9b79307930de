import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, isIP } from 'node:net';
import { BrokerError } from '../lib/failure.ts';
import { frameInPlace, headerRoomBytes } from './frame-writer.ts';
import { writeThrough } from './write-through.ts';

/** Takes what a target sends. */
export type TargetSink = {
  /**
   * Takes the next bytes, as one frame of `payloadBytes`. The memory is the sink's until it calls `done`; no more is
   * read before.
   */
  readonly frame: (frame: Buffer, payloadBytes: number, done: () => void) => void;
  /** The target sends no more (FIN). */
  readonly end: () => void;
  /** The socket is closed; `isLost` unless both directions had ended. */
  readonly closed: (isLost: boolean) => void;
};

const blockBytes = 65_536;
const lingerMilliseconds = 5000;
const keepAliveMilliseconds = 30_000;

const refusals = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EINVAL',
];

/**
 * A TCP connection to a target, which reads into one block of memory with room for a frame header in front. Nothing is
 * read before `start`.
 *
 * INVARIANT: the block is not read into while a sink holds it.
 */
export class TargetSocket {
  readonly #socket: Socket;
  // Its pages become real only when they are filled, so an idle connection does not cost 64 KiB.
  readonly #block = Buffer.allocUnsafeSlow(headerRoomBytes + blockBytes);
  #sink: TargetSink | undefined;
  #isHeld = false;
  #isDropping = false;

  constructor(host: string, port: number) {
    const onread = {
      buffer: this.#block.subarray(headerRoomBytes),
      callback: (bytes: number) => this.#read(bytes),
    };
    this.#socket = connect({
      host,
      port,
      onread,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMilliseconds,
    });
    this.#socket.pause();
    // 'close' follows and says all that matters.
    this.#socket.on('error', () => {});
  }

  /** Resolves when the target has accepted; rejects when it has not, or when the signal aborts first. */
  async connected(signal: AbortSignal): Promise<void> {
    await once(this.#socket, 'connect', { signal });
  }

  /** Begins to read. */
  start(sink: TargetSink): void {
    this.#sink = sink;
    this.#socket.on('end', () => sink.end());
    this.#socket.on('close', () => sink.closed(this.#isLost()));
    if (this.#socket.destroyed) sink.closed(true);
    else this.#socket.resume();
  }

  /** Sends bytes and calls `done` when their memory is free again. */
  send(bytes: Buffer, done: () => void): void {
    writeThrough(this.#socket, bytes, done);
  }

  /** Says that nothing more will be sent (FIN), after what was written before. */
  end(): void {
    this.#socket.end();
  }

  /** Ends in peace: what was written is sent, what still arrives is dropped, and after 5 s the socket is destroyed. */
  finish(): void {
    this.#isDropping = true;
    this.#socket.end();
    if (!this.#isHeld) this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), lingerMilliseconds);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  /** Ends at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #isLost(): boolean {
    return !this.#socket.readableEnded || !this.#socket.writableFinished;
  }

  #read(bytes: number): boolean {
    if (this.#isDropping || this.#sink === undefined) return true;
    this.#isHeld = true;
    let isPaused = false;
    this.#sink.frame(frameInPlace(this.#block, bytes), bytes, () => {
      this.#isHeld = false;
      if (isPaused) this.#socket.resume();
    });
    isPaused = this.#isHeld;
    return !isPaused;
  }
}

/** Dials a literal address. Fails with `target-refused` or `target-timeout`; no name is ever resolved. */
export async function dial(host: string, port: number, signal: AbortSignal): Promise<TargetSocket> {
  if (isIP(host) === 0) throw new Error('only a literal address is dialled');
  const target = new TargetSocket(host, port);
  try {
    await target.connected(signal);
    return target;
  } catch (cause) {
    target.destroy();
    throw toFailure(cause);
  }
}

function toFailure(cause: unknown): BrokerError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return refusals.includes(code)
    ? new BrokerError('target-refused', 'See that the service runs and listens on this port.', {
        cause,
      })
    : new BrokerError('target-timeout', 'See that the target runs and lets the gateway in.', {
        cause,
      });
}
