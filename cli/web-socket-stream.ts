import { Buffer } from 'node:buffer';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { RawData, WebSocket } from 'ws';

/** How a connection ended: what the WebSocket said, and the payload bytes that were carried each way. */
export type Outcome = {
  readonly code: number;
  readonly reason: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Whether some of what came down did not reach the local side. */
  readonly isCut: boolean;
};

/** The two ends of what is carried here: standard input and output, or both sides of one TCP connection. */
export type LocalEnds = {
  readonly input: Readable;
  readonly output: Writable;
  /** Ends both at once, in a way that cannot pass for a proper end where there is one. */
  readonly cut: () => void;
};

const maxMessageBytes = 64 * 1024;

// How much may wait in memory for a slow gateway before the input is held back.
const highWaterBytes = 1024 * 1024;

// How long the local reader has for the rest once we were asked to end. Before that there is no limit: a slow reader is
// not a failure, and the gateway has let go of the connection.
const flushMilliseconds = 2_000;

// How long the gateway may take to confirm a close of ours.
const leaveMilliseconds = 5_000;

const isBinary = { binary: true };

// RFC 6455, section 7.4.1.
const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  textRefused: 1003,
} as const;

/**
 * Carries bytes between an open WebSocket and local streams, in binary messages of at most 64 KiB, until both
 * directions have ended or the WebSocket has closed. A message without a byte is the end of its direction. Holds each
 * side back while the other is slow. Never rejects; the streams are finished with when it resolves.
 */
export async function carryStream(
  socket: WebSocket,
  ends: LocalEnds,
  signal: AbortSignal,
): Promise<Outcome> {
  const carriage = new Carriage(socket, ends);
  const stop = (): void => carriage.stop();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const outcome = await carriage.ended;
  signal.removeEventListener('abort', stop);
  return outcome;
}

class Carriage {
  readonly ended: Promise<Outcome>;
  readonly #socket: WebSocket;
  readonly #ends: LocalEnds;
  readonly #impatience = new AbortController();
  #bytesUp = 0;
  #bytesDown = 0;
  #hasEndedUp = false;
  #hasEndedDown = false;

  constructor(socket: WebSocket, ends: LocalEnds) {
    this.#socket = socket;
    this.#ends = ends;
    this.ended = new Promise((resolve) => {
      socket.once('close', (code: number, reason: Buffer) => {
        void this.#finish(code).then((isFlushed) => {
          const [bytesUp, bytesDown, isCut] = [this.#bytesUp, this.#bytesDown, !isFlushed];
          resolve({ code, reason: reason.toString('utf8'), bytesUp, bytesDown, isCut });
        });
      });
    });
    this.#listen();
  }

  /** Ends both directions, with a moment for the local side to read the rest. */
  stop(): void {
    setTimeout(() => this.#impatience.abort(), flushMilliseconds).unref();
    if (this.#isOpen()) this.leave(closeCodes.normal);
  }

  /** Closes the WebSocket with this code, and cuts it when the gateway does not confirm that soon. */
  leave(code: number): void {
    this.#socket.close(code);
    setTimeout(() => this.#socket.terminate(), leaveMilliseconds).unref();
  }

  #listen(): void {
    const { input, output } = this.#ends;
    // A local end that fails is a client that has gone: nobody is left to tell.
    const abandon = (): void => this.leave(closeCodes.goingAway);
    output.on('error', abandon);
    input.on('error', abandon);
    input.on('close', () => {
      if (!this.#hasEndedUp) abandon();
    });
    input.on('data', (chunk: Buffer) => this.#sendUp(chunk));
    input.once('end', () => this.#endUp());
    this.#socket.on('message', (data, binary) => this.#receive(data, binary));
    this.#socket.resume();
    if (input.destroyed) abandon();
    else input.resume();
  }

  #sendUp(chunk: Buffer): void {
    if (!this.#isOpen()) return;
    this.#bytesUp += chunk.length;
    for (let from = 0; from < chunk.length; from += maxMessageBytes)
      this.#socket.send(chunk.subarray(from, from + maxMessageBytes), isBinary, this.#goOn);
    if (highWaterBytes < this.#socket.bufferedAmount) this.#ends.input.pause();
  }

  readonly #goOn = (): void => {
    const { input } = this.#ends;
    const hasRoom = this.#isOpen() && this.#socket.bufferedAmount <= highWaterBytes;
    if (hasRoom && input.isPaused()) input.resume();
  };

  #endUp(): void {
    this.#hasEndedUp = true;
    this.#socket.send(Buffer.alloc(0), isBinary, () => this.#leaveWhenDone());
  }

  #receive(data: RawData, binary: boolean): void {
    if (!binary || !Buffer.isBuffer(data)) return this.leave(closeCodes.textRefused);
    if (this.#hasEndedDown) return this.leave(closeCodes.protocolError);
    const { output } = this.#ends;
    if (data.length === 0) {
      this.#hasEndedDown = true;
      output.end();
      // An output that has been ended drains without saying so, and no payload follows.
      this.#socket.resume();
      return this.#leaveWhenDone();
    }
    this.#bytesDown += data.length;
    if (output.write(data) || this.#socket.isPaused) return;
    this.#socket.pause();
    output.once('drain', () => this.#socket.resume());
  }

  #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  #leaveWhenDone(): void {
    if (this.#hasEndedUp && this.#hasEndedDown) this.leave(closeCodes.normal);
  }

  /** Lets a proper end reach the local side, and returns whether it did in full. After any other, both ends are cut. */
  async #finish(code: number): Promise<boolean> {
    const { cut, input, output } = this.#ends;
    this.#hasEndedUp = true;
    if (code !== closeCodes.normal) {
      cut();
      return false;
    }
    output.end();
    const { signal } = this.#impatience;
    await finished(output, { readable: false, signal }).catch(() => undefined);
    const isFlushed = output.writableFinished;
    // Half of a stream must not pass for all of it, in a tunnel to a program of the user either.
    if (!isFlushed) cut();
    input.destroy();
    output.destroy();
    return isFlushed;
  }
}
