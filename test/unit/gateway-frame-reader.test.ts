import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameError, FrameReader } from '../../gateway/frame-reader.ts';
import type { FrameChanges } from '../support/client-frames.ts';
import { clientFrame, closePayload } from '../support/client-frames.ts';

type Seen = { readonly events: readonly string[]; readonly payload: Buffer };

/** Reads the bytes in the given pieces and tells what came out; adjacent payload is one event. */
function read(wire: Buffer, cuts: readonly number[] = []): Seen {
  const events: string[] = [];
  const payload: Buffer[] = [];
  const reader = new FrameReader({
    payload: (bytes) => {
      // The reader reuses its chunk, so what a sink sees must be right at once.
      payload.push(Buffer.from(bytes));
      if (events.at(-1) !== 'payload') events.push('payload');
    },
    empty: () => events.push('empty'),
    ping: (bytes) => events.push(`ping ${bytes.toString()}`),
    pong: () => events.push('pong'),
    close: (code) => events.push(`close ${code}`),
  });
  const ends = [...new Set([...cuts, wire.length])].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    reader.read(Buffer.from(wire.subarray(start, end)));
    start = end;
  }
  return { events, payload: Buffer.concat(payload) };
}

function breachOf(wire: Buffer): number | undefined {
  try {
    read(wire);
    return undefined;
  } catch (error) {
    if (error instanceof FrameError) return error.closeCode;
    throw error;
  }
}

const conversation = Buffer.concat([
  clientFrame(Buffer.from('hello ')),
  clientFrame(Buffer.from('frag'), { isFinal: false }),
  clientFrame(Buffer.from('are you there'), { opcode: 9 }),
  clientFrame(Buffer.from('ment'), { opcode: 0, isFinal: false }),
  clientFrame(Buffer.alloc(0), { opcode: 0 }),
  clientFrame(Buffer.alloc(0), { opcode: 10 }),
  clientFrame(Buffer.alloc(300, 'x')),
  clientFrame(Buffer.alloc(0)),
  clientFrame(closePayload(1000, 'bye'), { opcode: 8 }),
  Buffer.from('whatever follows a Close is not looked at'),
]);

describe('FrameReader', () => {
  test('reads a conversation the same wherever it is cut', () => {
    const expected = {
      payload: Buffer.from(`hello fragment${'x'.repeat(300)}`),
      events: [
        'payload',
        'ping are you there',
        'payload',
        'pong',
        'payload',
        'empty',
        'close 1000',
      ],
    };
    const byteByByte = Array.from({ length: conversation.length }, (_, i) => i);

    expect(read(conversation, byteByByte)).toEqual(expected);
    for (const cut of byteByByte)
      expect(read(conversation, [cut]).payload).toEqual(expected.payload);
  });

  test('gives back the payload of any frames, whatever their sizes, cuts and fragments', () => {
    const frames = fc.array(
      fc.record({ payload: fc.uint8Array({ maxLength: 700 }), isFinal: fc.boolean() }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(frames, fc.array(fc.nat(9000)), (given, cuts) => {
        const wire = given.map(({ payload, isFinal }, i) =>
          clientFrame(Buffer.from(payload), {
            opcode: given[i - 1]?.isFinal === false ? 0 : 2,
            isFinal,
          }),
        );
        const seen = read(Buffer.concat(wire), cuts);
        expect(seen.payload).toEqual(Buffer.concat(given.map(({ payload }) => payload)));
      }),
      { numRuns: 200 },
    );
  });

  test('passes on what it has of a frame that is not complete', () => {
    const frame = clientFrame(Buffer.alloc(100_000, 'y'));

    expect(read(frame.subarray(0, 5000)).payload.length).toBe(5000 - 14);
  });

  test('makes one delivery of the small frames in a chunk', () => {
    const deliveries: string[] = [];
    const ignore = (): void => {};
    const payload = (bytes: Buffer): void => void deliveries.push(bytes.toString());
    const sink = { payload, empty: ignore, ping: ignore, pong: ignore, close: ignore };

    new FrameReader(sink).read(
      Buffer.concat(['a', 'b', 'c'].map((x) => clientFrame(Buffer.from(x)))),
    );

    expect(deliveries).toEqual(['abc']);
  });

  const nothing = Buffer.alloc(0);
  const long = Buffer.alloc(126);
  const breaches: readonly [string, number, Buffer, FrameChanges][] = [
    ['an unmasked frame', 1002, Buffer.from('x'), { isMasked: false }],
    ['a reserved bit', 1002, nothing, { reservedBits: 4 }],
    ['text', 1003, Buffer.from('x'), { opcode: 1 }],
    ['a reserved data opcode', 1002, nothing, { opcode: 3 }],
    ['a reserved control opcode', 1002, nothing, { opcode: 11 }],
    ['a continuation of nothing', 1002, nothing, { opcode: 0 }],
    ['a fragmented ping', 1002, nothing, { opcode: 9, isFinal: false }],
    ['a ping of 126 bytes', 1002, long, { opcode: 9 }],
    ['a short length in 16 bits', 1002, Buffer.from('x'), { lengthForm: 16 }],
    ['a short length in 64 bits', 1002, long, { lengthForm: 64 }],
    ['a close code of one byte', 1002, Buffer.from([3]), { opcode: 8 }],
    ['close code 1005', 1002, closePayload(1005), { opcode: 8 }],
    ['close code 999', 1002, closePayload(999), { opcode: 8 }],
    ['close code 2000', 1002, closePayload(2000), { opcode: 8 }],
    ['close code 5000', 1002, closePayload(5000), { opcode: 8 }],
    [
      'a close reason that is not UTF-8',
      1007,
      closePayload(1000, Buffer.from([0xff])),
      { opcode: 8 },
    ],
  ];
  test.each(breaches)('refuses %s with %i', (_name, code, payload, changes) => {
    expect(breachOf(clientFrame(payload, changes))).toBe(code);
  });

  test('refuses a new message inside another', () => {
    const wire = [clientFrame(nothing, { isFinal: false }), clientFrame(nothing)];

    expect(breachOf(Buffer.concat(wire))).toBe(1002);
  });

  test.each([
    ['ff ff ff ff ff ff ff ff', 1002],
    ['00 20 00 00 00 00 00 00', 1009],
  ])('refuses a length of %s with %i', (length, code) => {
    const wire = Buffer.from(`82ff${length.replaceAll(' ', '')}00000000`, 'hex');

    expect(breachOf(wire)).toBe(code);
  });
});
