import type { Writable } from 'node:stream';

/**
 * Writes bytes and calls `done` once, when their memory is free again: at once when the kernel took everything, else
 * when it has, or when the stream is destroyed.
 */
export function writeThrough(stream: Writable, bytes: Buffer, done: () => void): void {
  let isDone = false;
  const finish = (): void => {
    if (isDone) return;
    isDone = true;
    done();
  };
  stream.write(bytes, finish);
  // Not the answer of `write`: that is about a mark which one large write exceeds though nothing waits.
  if (stream.writableLength === 0) finish();
}
