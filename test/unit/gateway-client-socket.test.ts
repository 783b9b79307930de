import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ClientSocket } from '../../gateway/client-socket.ts';
import { clientFrame } from '../support/client-frames.ts';

const pingHex = '8900';
const pong = clientFrame(Buffer.alloc(0), { opcode: 10 });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
});

afterEach(() => {
  vi.useRealTimers();
});

type Peer = {
  readonly server: Duplex;
  readonly client: Duplex;
  readonly socket: ClientSocket;
  readonly over: readonly string[];
};

function connectPeer(takePayload = (done: () => void): void => done()): Peer {
  const [server, client] = duplexPair();
  const over: string[] = [];
  const socket = new ClientSocket(server, {
    payload: (_bytes, done) => takePayload(done),
    empty: () => {},
    over: (reason) => over.push(reason),
  });
  socket.start(Buffer.alloc(0));
  return { server, client, socket, over };
}

/** Resolves with what has arrived at the client, in hexadecimal. */
async function readHex(client: Duplex): Promise<string> {
  await settle();
  const bytes: unknown = client.read();
  await settle();
  return bytes instanceof Buffer ? bytes.toString('hex') : '';
}

async function settle(): Promise<void> {
  await new Promise(setImmediate);
}

describe('ClientSocket', () => {
  test('pings every 25 s, for as long as the client answers', async () => {
    const { client, over } = connectPeer();
    for (let round = 0; round < 5; round += 1) {
      vi.advanceTimersByTime(24_999);
      expect(await readHex(client)).toBe('');
      vi.advanceTimersByTime(1);
      expect(await readHex(client)).toBe(pingHex);
      client.write(pong);
      await settle();
    }

    expect(over).toEqual([]);
  });

  test('gives a client up that leaves two pings unanswered', async () => {
    const { client, over } = connectPeer();
    vi.advanceTimersByTime(25_000);
    expect(await readHex(client)).toBe(pingHex);
    vi.advanceTimersByTime(25_000);
    expect(await readHex(client)).toBe(pingHex);
    expect(over).toEqual([]);
    vi.advanceTimersByTime(25_000);

    expect(over).toEqual(['client-lost']);
    expect(await readHex(client)).toBe(`880d03e9${Buffer.from('client-lost').toString('hex')}`);
  });

  // It cannot answer a ping that it has not reached yet; TCP knows whether it is there.
  test('does not give a client up that is behind with reading', () => {
    const { socket, over } = connectPeer();
    socket.send(Buffer.alloc(1_000_000), () => {});
    vi.advanceTimersByTime(300_000);

    expect(over).toEqual([]);
  });

  // Its pong waits unread behind the payload.
  test('does not give a client up whose payload the target does not take', async () => {
    const { client, over } = connectPeer(() => {});
    client.write(clientFrame(Buffer.from('held')));
    await settle();
    for (let round = 0; round < 5; round += 1) {
      vi.advanceTimersByTime(25_000);
      expect(await readHex(client)).toBe(pingHex);
    }

    expect(over).toEqual([]);
  });

  test('does not give a client up from which payload comes before its pong', async () => {
    const { client, over } = connectPeer();
    for (let round = 0; round < 5; round += 1) {
      client.write(clientFrame(Buffer.from('payload')));
      await settle();
      vi.advanceTimersByTime(25_000);
      expect(await readHex(client)).toBe(pingHex);
    }

    expect(over).toEqual([]);
  });

  // Threat 29.
  test('owes a client that pings and never reads one pong at most', async () => {
    const { client, server, socket } = connectPeer();
    socket.send(Buffer.alloc(1_000_000), () => {});
    const before = server.writableLength;
    for (let i = 0; i < 400; i += 1) client.write(clientFrame(Buffer.alloc(125), { opcode: 9 }));
    await settle();

    expect(server.writableLength - before).toBeLessThanOrEqual(127);
  });

  test('sends nothing after its Close', async () => {
    const { client, socket } = connectPeer();
    socket.close(1000, '');
    socket.sendEmpty();
    socket.send(Buffer.from('late'), () => {});

    expect(await readHex(client)).toBe('880203e8');
  });

  test('destroys a client that does not answer its Close within 5 s', async () => {
    const { client, server, socket } = connectPeer();
    client.resume();
    socket.close(1000, '');
    vi.advanceTimersByTime(4999);
    expect(server.destroyed).toBe(false);
    vi.advanceTimersByTime(1);

    expect(server.destroyed).toBe(true);
  });
});
