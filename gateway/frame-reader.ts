import { isUtf8 } from 'node:buffer';
import { unmask } from './unmask.ts';

/** A breach of RFC 6455, with the close code that answers it. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly closeCode: number;

  constructor(closeCode: 1002 | 1003 | 1007 | 1008 | 1009, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** Where a reader delivers what it reads, in the order of the wire. */
export type FrameSink = {
  /** Bytes of binary messages. They belong to the sink; message boundaries are not kept. */
  readonly payload: (bytes: Buffer) => void;
  /** A binary message without a byte. */
  readonly empty: () => void;
  /** The bytes of a ping, good until the call returns. */
  readonly ping: (bytes: Buffer) => void;
  readonly pong: () => void;
  /** A Close frame, with its code where it has one. Nothing follows it. */
  readonly close: (code: number | undefined) => void;
};

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const maxControlBytes = 125;
const lengthBytes = new Map([
  [126, 2],
  [127, 8],
]);
const maskBytes = 4;

/**
 * Reads the frames of a client (RFC 6455, section 5) from chunks cut anywhere. Payload is unmasked in place and passed
 * on at once, so a message may be of any size; the reader itself holds less than 150 bytes.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #header = Buffer.alloc(14);
  readonly #control = Buffer.alloc(maxControlBytes);
  #headerFilled = 0;
  #headerBytes = 2;
  #payloadBytes = 0;
  #payloadFilled = 0;
  #inMessage = false;
  #isMessageEmpty = true;
  #isClosed = false;
  /** INVARIANT: `from <= to`, and the payload of this chunk that the sink has not had is between them. */
  #from = 0;
  #to = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Reads the next chunk and overwrites it. Throws a FrameError at the first breach; what follows a Close is dropped. */
  read(chunk: Buffer): void {
    let position = 0;
    this.#from = 0;
    this.#to = 0;
    while (position < chunk.length && !this.#isClosed) {
      const isHeader = this.#headerFilled < this.#headerBytes;
      const bytes = isHeader
        ? this.#readHeader(chunk, position)
        : this.#readPayload(chunk, position);
      position += bytes;
    }
    this.#deliver(chunk);
  }

  #readHeader(chunk: Buffer, position: number): number {
    const end = position + this.#headerBytes - this.#headerFilled;
    const bytes = chunk.copy(this.#header, this.#headerFilled, position, end);
    this.#headerFilled += bytes;
    if (this.#headerFilled < this.#headerBytes) return bytes;
    if (this.#headerBytes === 2) this.#headerBytes = this.#checkStart();
    else this.#startPayload(chunk);
    return bytes;
  }

  /** Checks the first two bytes and returns how long the whole header is. */
  #checkStart(): number {
    const second = this.#header.readUInt8(1);
    const lengthCode = second & 0x7f;
    if ((this.#header.readUInt8(0) & 0x70) !== 0)
      throw new FrameError(1002, 'no extension was negotiated');
    // An unmasked frame would let a page choose the bytes that a proxy sees (RFC 6455, section 10.3).
    if ((second & 0x80) === 0) throw new FrameError(1002, 'the frame is not masked');
    if (this.#isControl()) this.#checkControl(lengthCode);
    else this.#checkData();
    return 2 + (lengthBytes.get(lengthCode) ?? 0) + maskBytes;
  }

  #checkControl(lengthCode: number): void {
    const opcode = this.#opcode();
    if (opcode > opcodes.pong) throw new FrameError(1002, 'the opcode is reserved');
    if (!this.#isFinal()) throw new FrameError(1002, 'the control frame is fragmented');
    if (lengthCode > maxControlBytes) throw new FrameError(1002, 'the control frame is too long');
  }

  #checkData(): void {
    const opcode = this.#opcode();
    if (opcode === opcodes.text) throw new FrameError(1003, 'only binary messages are carried');
    if (opcode > opcodes.binary) throw new FrameError(1002, 'the opcode is reserved');
    if ((opcode === opcodes.continuation) !== this.#inMessage)
      throw new FrameError(1002, 'the fragments are out of order');
    if (opcode === opcodes.binary) this.#isMessageEmpty = true;
    this.#inMessage = !this.#isFinal();
  }

  #startPayload(chunk: Buffer): void {
    this.#payloadBytes = this.#readLength();
    this.#payloadFilled = 0;
    if (this.#payloadBytes === 0) this.#endFrame(chunk);
  }

  #readLength(): number {
    const lengthCode = this.#header.readUInt8(1) & 0x7f;
    if (lengthCode <= maxControlBytes) return lengthCode;
    const bytes =
      lengthCode === 126 ? this.#header.readUInt16BE(2) : Number(this.#header.readBigUInt64BE(2));
    if (bytes <= (lengthCode === 126 ? maxControlBytes : 0xffff))
      throw new FrameError(1002, 'the length is not in its shortest form');
    if (bytes >= 2 ** 63) throw new FrameError(1002, 'the length has its highest bit set');
    if (bytes > Number.MAX_SAFE_INTEGER) throw new FrameError(1009, 'the frame is too long');
    return bytes;
  }

  #readPayload(chunk: Buffer, position: number): number {
    const left = this.#payloadBytes - this.#payloadFilled;
    const bytes = chunk.subarray(position, position + left);
    const mask = this.#header.subarray(this.#headerBytes - maskBytes, this.#headerBytes);
    unmask(bytes, mask, this.#payloadFilled);
    if (this.#isControl()) this.#control.set(bytes, this.#payloadFilled);
    else this.#keep(chunk, position, bytes.length);
    this.#payloadFilled += bytes.length;
    if (this.#payloadFilled === this.#payloadBytes) this.#endFrame(chunk);
    return bytes.length;
  }

  /** Slides payload over the headers between, so that a chunk of many small frames becomes one write. */
  #keep(chunk: Buffer, position: number, bytes: number): void {
    this.#isMessageEmpty = false;
    if (this.#from === this.#to) {
      this.#from = position;
      this.#to = position;
    } else {
      chunk.copyWithin(this.#to, position, position + bytes);
    }
    this.#to += bytes;
  }

  #deliver(chunk: Buffer): void {
    if (this.#from === this.#to) return;
    const bytes = chunk.subarray(this.#from, this.#to);
    this.#from = this.#to;
    this.#sink.payload(bytes);
  }

  #endFrame(chunk: Buffer): void {
    this.#headerFilled = 0;
    this.#headerBytes = 2;
    if (this.#isControl()) this.#endControl(chunk);
    else if (this.#isFinal() && this.#isMessageEmpty) {
      this.#deliver(chunk);
      this.#sink.empty();
    }
  }

  #endControl(chunk: Buffer): void {
    const bytes = this.#control.subarray(0, this.#payloadBytes);
    const opcode = this.#opcode();
    if (opcode === opcodes.ping) this.#sink.ping(bytes);
    else if (opcode === opcodes.pong) this.#sink.pong();
    else {
      this.#deliver(chunk);
      const code = readCloseCode(bytes);
      this.#isClosed = true;
      this.#sink.close(code);
    }
  }

  #opcode(): number {
    return this.#header.readUInt8(0) & 0x0f;
  }

  #isControl(): boolean {
    return this.#opcode() >= opcodes.close;
  }

  #isFinal(): boolean {
    return (this.#header.readUInt8(0) & 0x80) !== 0;
  }
}

function readCloseCode(bytes: Buffer): number | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes.length === 1) throw new FrameError(1002, 'the close code is cut off');
  const code = bytes.readUInt16BE(0);
  if (!isCloseCode(code)) throw new FrameError(1002, 'the close code may not be sent');
  if (!isUtf8(bytes.subarray(2))) throw new FrameError(1007, 'the close reason is not UTF-8');
  return code;
}

/** Whether a code may stand in a Close frame (RFC 6455, section 7.4, and the registry it opened). */
function isCloseCode(code: number): boolean {
  if (3000 <= code && code <= 4999) return true;
  return (1000 <= code && code <= 1003) || (1007 <= code && code <= 1014);
}
