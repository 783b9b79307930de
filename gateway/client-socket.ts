import type { Duplex } from 'node:stream';
import { closeCodes } from '../lib/close-reason.ts';
import type { Ending } from './connection.ts';
import { FrameError, FrameReader } from './frame-reader.ts';
import { emptyMessage, encodeClose, encodePing, encodePong } from './frame-writer.ts';
import { writeThrough } from './write-through.ts';

/** Takes what a client sends. */
export type ClientSink = {
  /** Takes payload. No more is read until the sink calls `done`. */
  readonly payload: (bytes: Buffer, done: () => void) => void;
  /** An empty message. */
  readonly empty: () => void;
  /** The client has closed, is lost, or broke the protocol. Called at most once, and never after `close`. */
  readonly over: (reason: Ending, cause?: unknown) => void;
};

const pingMilliseconds = 25_000;
const maxMissedPongs = 2;
// Clients ping a few times a minute; a flood would keep the gateway busy with answers.
const maxPingsPerPeriod = 500;
const lingerMilliseconds = 5000;

/**
 * The client's end of a connection: a WebSocket (RFC 6455) after its handshake. It answers pings, sends its own, and
 * shakes hands on Close.
 */
export class ClientSocket {
  readonly #socket: Duplex;
  readonly #sink: ClientSink;
  readonly #reader: FrameReader;
  readonly #pinging: NodeJS.Timeout;
  #state: 'open' | 'closing' = 'open';
  #isBroken = false;
  #held = 0;
  #missedPongs = 0;
  #pings = 0;
  #isPongUnderWay = false;
  #owedPong: Buffer | undefined;

  constructor(socket: Duplex, sink: ClientSink) {
    this.#socket = socket;
    this.#sink = sink;
    this.#reader = new FrameReader({
      payload: (bytes) => this.#take(bytes),
      empty: () => this.#isOpen() && sink.empty(),
      ping: (bytes) => this.#answerPing(bytes),
      pong: () => {},
      close: (code) => this.#answerClose(code),
    });
    this.#pinging = setInterval(() => this.#ping(), pingMilliseconds);
  }

  /** Begins to read, first the bytes that came with the handshake. */
  start(head: Buffer): void {
    // 'close' follows and says all that matters.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.#lose());
    this.#socket.on('end', () => this.#lose());
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    if (this.#socket.destroyed) this.#lose();
    else this.#read(head);
  }

  /** Sends a frame and calls `done` when its memory is free again. After a Close it is dropped. */
  send(frame: Buffer, done: () => void): void {
    if (this.#isOpen()) writeThrough(this.#socket, frame, done);
    else done();
  }

  /** Says that the target sends no more, where the client understands that. */
  sendEmpty(): void {
    if (this.#isOpen()) this.#socket.write(emptyMessage);
  }

  /** Sends a Close, waits 5 s for the client's, and closes. Nothing reaches the sink from now on. */
  close(code: number, reason: string): void {
    if (!this.#isOpen()) return;
    this.#linger();
    this.#socket.write(encodeClose(code, reason));
    // The client's Close may be behind payload that nobody waits for any more.
    this.#socket.resume();
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #read(chunk: Buffer): void {
    if (this.#isBroken) return;
    // Any byte is a sign of life, and a pong may be behind many of them.
    this.#missedPongs = 0;
    try {
      this.#reader.read(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Fails the WebSocket (RFC 6455, section 7.1.7): what follows a breach cannot be read. */
  #fail(error: unknown): void {
    this.#isBroken = true;
    const wasOpen = this.#isOpen();
    const isBreach = error instanceof FrameError;
    const reason = isBreach ? 'bad-request' : 'gateway-failed';
    this.close(isBreach ? error.closeCode : closeCodes[reason], isBreach ? error.message : reason);
    this.#socket.end();
    if (wasOpen) this.#sink.over(reason, error);
  }

  #take(bytes: Buffer): void {
    if (!this.#isOpen()) return;
    this.#held += 1;
    this.#sink.payload(bytes, () => {
      this.#held -= 1;
      if (this.#held === 0 && this.#socket.isPaused()) this.#socket.resume();
    });
    if (this.#held > 0 && this.#isOpen()) this.#socket.pause();
  }

  #answerPing(bytes: Buffer): void {
    this.#pings += 1;
    if (this.#pings > maxPingsPerPeriod) throw new FrameError(1008, 'too many pings');
    if (!this.#isOpen()) return;
    this.#owedPong = encodePong(bytes);
    if (!this.#isPongUnderWay) this.#pong();
  }

  // One pong at a time, for the latest ping (RFC 6455, section 5.5.3): a client that pings and never reads must not
  // fill the memory.
  #pong(): void {
    const pong = this.#owedPong;
    this.#owedPong = undefined;
    this.#isPongUnderWay = pong !== undefined && this.#isOpen();
    if (pong !== undefined && this.#isOpen()) this.#socket.write(pong, () => this.#pong());
  }

  #ping(): void {
    this.#pings = 0;
    // A client that is behind with reading cannot have seen our ping; TCP finds out whether it is there at all.
    if (this.#socket.writableLength > 0) return;
    // Its pong may wait unread behind payload that the target does not take.
    if (this.#held > 0) this.#missedPongs = 0;
    if (this.#missedPongs >= maxMissedPongs) {
      this.close(closeCodes['client-lost'], 'client-lost');
      this.#sink.over('client-lost');
      return;
    }
    this.#missedPongs += 1;
    this.#socket.write(encodePing());
  }

  #answerClose(code: number | undefined): void {
    if (this.#isOpen()) {
      this.#linger();
      this.#socket.write(encodeClose(code));
      this.#sink.over('client-closed');
    }
    this.#socket.end();
  }

  #lose(): void {
    if (!this.#isOpen()) return;
    this.#linger();
    this.#socket.destroy();
    this.#sink.over('client-lost');
  }

  #linger(): void {
    this.#state = 'closing';
    clearInterval(this.#pinging);
    const timer = setTimeout(() => this.#socket.destroy(), lingerMilliseconds);
    this.#socket.once('close', () => clearTimeout(timer));
  }
}
