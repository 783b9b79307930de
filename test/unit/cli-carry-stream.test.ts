import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { findCloseError } from '../../cli/close-sentence.ts';
import { carryStream } from '../../cli/web-socket-stream.ts';
import type { LocalEnds } from '../../cli/web-socket-stream.ts';
import { createLooseSocket } from '../support/cli-loose-socket.ts';

/** An output that takes its first chunk for as long as nobody calls `read`. */
function createSlowEnds(): LocalEnds & {
  readonly read: () => void;
  readonly fail: () => void;
  readonly received: Buffer[];
} {
  const received: Buffer[] = [];
  let goOn: (failure?: Error) => void = () => undefined;
  let isHeld = true;
  const output = new Writable({
    write: (chunk: Buffer, _, done) => {
      received.push(chunk);
      if (isHeld) goOn = done;
      else done();
    },
  });
  const input = new PassThrough();
  const release = (failure?: Error): void => {
    isHeld = false;
    goOn(failure);
  };
  const cut = (): void => {
    input.destroy();
    output.destroy();
  };
  const fail = (): void => release(new Error('EPIPE'));
  return { input, output, cut, received, read: () => release(), fail };
}

function sendAndClose(socket: WebSocket): void {
  socket.emit('message', Buffer.from('first, '), true);
  socket.emit('message', Buffer.from('last'), true);
  socket.emit('message', Buffer.alloc(0), true);
  socket.emit('close', 1000, Buffer.from('target-closed'));
}

describe('carryStream, when the gateway has closed properly', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    // The fake clock does not drive it by itself.
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), milliseconds);
      return controller.signal;
    });
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test('waits for a slow reader for an hour and more', async () => {
    const [socket, ends] = [createLooseSocket(), createSlowEnds()];
    const carried = carryStream(socket, ends, new AbortController().signal);

    sendAndClose(socket);
    await vi.advanceTimersByTimeAsync(3_600_000);
    ends.read();

    expect(await carried).toMatchObject({ code: 1000, isCut: false, bytesDown: 11 });
    expect(Buffer.concat(ends.received).toString()).toBe('first, last');
  });

  // A file that is half there must not look whole to a script.
  test('is a failure when the reader goes away before the last byte', async () => {
    const [socket, ends] = [createLooseSocket(), createSlowEnds()];
    const carried = carryStream(socket, ends, new AbortController().signal);

    sendAndClose(socket);
    ends.fail();

    const outcome = await carried;
    expect(outcome).toMatchObject({ code: 1000, isCut: true });
    expect(findCloseError(outcome)).toMatchObject({ exitCode: 1 });
  });

  test('lets a signal cut off a reader that never reads', async () => {
    const [socket, ends, stop] = [createLooseSocket(), createSlowEnds(), new AbortController()];
    const carried = carryStream(socket, ends, stop.signal);

    sendAndClose(socket);
    stop.abort();
    await vi.advanceTimersByTimeAsync(2_000);

    expect(await carried).toMatchObject({ isCut: true });
    expect(ends.output.destroyed).toBe(true);
  });
});
