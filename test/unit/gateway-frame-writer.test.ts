import { describe, expect, test } from 'vitest';
import {
  emptyMessage,
  encodeClose,
  encodePing,
  encodePong,
  frameInPlace,
  headerRoomBytes,
} from '../../gateway/frame-writer.ts';

describe('frameInPlace', () => {
  // The boundaries of the three forms of a length (RFC 6455, section 5.2).
  test.each([
    [1, '8201'],
    [125, '827d'],
    [126, '827e007e'],
    [65_535, '827effff'],
    [65_536, '827f0000000000010000'],
  ])('writes the header of %i bytes as %s, right in front of them', (bytes, header) => {
    const block = Buffer.alloc(headerRoomBytes + 70_000, 'z');

    const frame = frameInPlace(block, bytes);

    expect(frame.toString('hex')).toBe(header + '7a'.repeat(bytes));
  });
});

describe('control frames', () => {
  test('are final, unmasked and short', () => {
    expect(encodePing().toString('hex')).toBe('8900');
    expect(encodePong(Buffer.from('hi')).toString('hex')).toBe('8a026869');
    expect(encodeClose(1000, 'ok').toString('hex')).toBe('880403e86f6b');
    expect(encodeClose(undefined).toString('hex')).toBe('8800');
    expect(emptyMessage.toString('hex')).toBe('8200');
  });
});
