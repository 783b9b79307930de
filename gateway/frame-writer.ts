/** The most that a header of ours takes: ours are not masked (RFC 6455, section 5.1). */
export const headerRoomBytes = 10;

const finalBit = 0x80;
const opcodes = { binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A binary message without a byte, which ends a direction of the stream. */
export const emptyMessage = Buffer.from([finalBit | opcodes.binary, 0]);

/**
 * Makes one binary message of the payload that begins at `headerRoomBytes` of the block, by writing the header right
 * in front of it. Returns the whole frame, which shares the block's memory.
 */
export function frameInPlace(block: Buffer, payloadBytes: number): Buffer {
  const headerBytes = payloadBytes <= 125 ? 2 : payloadBytes <= 0xffff ? 4 : 10;
  const frame = block.subarray(headerRoomBytes - headerBytes, headerRoomBytes + payloadBytes);
  frame.writeUInt8(finalBit | opcodes.binary, 0);
  if (headerBytes === 2) {
    frame.writeUInt8(payloadBytes, 1);
  } else if (headerBytes === 4) {
    frame.writeUInt8(126, 1);
    frame.writeUInt16BE(payloadBytes, 2);
  } else {
    frame.writeUInt8(127, 1);
    frame.writeBigUInt64BE(BigInt(payloadBytes), 2);
  }
  return frame;
}

/** Returns a message of the first bytes of the payload of a frame of ours, in memory of its own; none of them makes nothing. */
export function cutFrame(frame: Buffer, payloadBytes: number, bytes: number): Buffer {
  if (bytes === 0) return Buffer.alloc(0);
  const start = frame.length - payloadBytes;
  const payload = frame.subarray(start, start + bytes);
  return frameInPlace(Buffer.concat([Buffer.alloc(headerRoomBytes), payload]), bytes);
}

/** Returns a ping without payload. */
export function encodePing(): Buffer {
  return encodeControl(opcodes.ping, Buffer.alloc(0));
}

/** Returns the pong that answers a ping; `bytes` is copied. */
export function encodePong(bytes: Buffer): Buffer {
  return encodeControl(opcodes.pong, bytes);
}

/** Returns a Close frame; without a code it is empty. The reason is at most 123 bytes of UTF-8. */
export function encodeClose(code: number | undefined, reason = ''): Buffer {
  if (code === undefined) return encodeControl(opcodes.close, Buffer.alloc(0));
  const bytes = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
  bytes.writeUInt16BE(code, 0);
  return encodeControl(opcodes.close, bytes);
}

function encodeControl(opcode: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([finalBit | opcode, bytes.length]), bytes]);
}
