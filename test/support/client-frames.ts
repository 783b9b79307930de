/** How a test frame differs from a final, masked binary frame without extensions. */
export type FrameChanges = {
  readonly opcode?: number;
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
  readonly reservedBits?: number;
  readonly lengthForm?: 7 | 16 | 64;
};

const sound: Required<Omit<FrameChanges, 'lengthForm'>> = {
  opcode: 2,
  isFinal: true,
  isMasked: true,
  reservedBits: 0,
};

/** Returns a frame as a client sends it (RFC 6455, section 5.2), or wrong in the ways that the changes name. */
export function clientFrame(payload: Buffer, changes: FrameChanges = {}): Buffer {
  const { opcode, isFinal, isMasked, reservedBits } = { ...sound, ...changes };
  const form = changes.lengthForm ?? shortestForm(payload.length);
  const lengthCode = { 7: payload.length, 16: 126, 64: 127 }[form];
  const start = [(isFinal ? 0x80 : 0) | (reservedBits << 4) | opcode];
  start.push((isMasked ? 0x80 : 0) | lengthCode);
  const mask = isMasked ? Buffer.from([0x37, 0xfa, 0x21, 0x3d]) : Buffer.alloc(0);
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return Buffer.concat([Buffer.from(start), lengthField(payload.length, form), mask, masked]);
}

/** Returns the payload of a Close frame. */
export function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  const codeBytes = Buffer.alloc(2);
  codeBytes.writeUInt16BE(code);
  return Buffer.concat([codeBytes, Buffer.from(reason)]);
}

function shortestForm(bytes: number): 7 | 16 | 64 {
  if (bytes <= 125) return 7;
  return bytes <= 0xffff ? 16 : 64;
}

function lengthField(bytes: number, form: 7 | 16 | 64): Buffer {
  const field = Buffer.alloc({ 7: 0, 16: 2, 64: 8 }[form]);
  if (form === 16) field.writeUInt16BE(bytes);
  if (form === 64) field.writeBigUInt64BE(BigInt(bytes));
  return field;
}
