import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { keepAlive } from '../../cli/keep-alive.ts';
import { createLooseSocket } from '../support/cli-loose-socket.ts';

/** Returns a WebSocket and what it was asked to do. */
function createWatchedSocket(): { readonly socket: WebSocket; readonly asked: unknown[] } {
  const asked: unknown[] = [];
  const socket = createLooseSocket().on('asked', (what) => asked.push(what));
  return { socket, asked };
}

describe('keepAlive', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('cuts a connection on which nothing came back for a whole interval', () => {
    const { socket, asked } = createWatchedSocket();
    keepAlive(socket, 1000);

    vi.advanceTimersByTime(1000);
    socket.emit('pong');
    vi.advanceTimersByTime(2000);

    expect(asked).toEqual(['ping', 'ping', 'terminate']);
  });

  test('cuts no connection whose answers wait behind a slow reader', () => {
    const { socket, asked } = createWatchedSocket();
    Object.defineProperty(socket, 'isPaused', { value: true });
    keepAlive(socket, 1000);

    vi.advanceTimersByTime(3000);

    expect(asked).toEqual(['ping', 'ping', 'ping']);
  });
});
