import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createWebSocketStream } from 'ws';
import type { WebSocket } from 'ws';
import { clientFrame, closePayload } from '../support/client-frames.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { formatUpgrade, GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const mebibyte = 1_048_576;
const halfClose = ['sallyport.v1'];

const broker = new FakeBroker();
let gateway: GatewayProcess;
const targets: TcpTarget[] = [];

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
});

afterEach(async () => {
  await Promise.all(targets.splice(0).map(async (target) => target.stop()));
});

afterAll(async () => {
  await gateway.stop();
  await broker.close();
});

async function startTarget(serve: (socket: Socket) => void): Promise<TcpTarget> {
  const target = await TcpTarget.start(serve);
  targets.push(target);
  return target;
}

async function openTo(
  target: TcpTarget,
  protocols: readonly string[] = [],
  session: string = randomUUID(),
): Promise<WebSocket> {
  return gateway.open(await broker.issueTicket(target.port, { session }), protocols);
}

/** Resolves with all messages up to the Close, and its code and reason. */
async function readAll(socket: WebSocket): Promise<{ data: Buffer; close: string }> {
  const parts: Buffer[] = [];
  socket.on('message', (part: Buffer) => parts.push(part));
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('close', (code, reason) => resolve(`${code} ${reason.toString()}`));
  socket.resume();
  const close = await promise;
  return { data: Buffer.concat(parts), close };
}

/** Sends a text as a binary message, and resolves with the next message. */
async function ask(socket: WebSocket, text: string): Promise<string> {
  socket.send(Buffer.from(text));
  socket.resume();
  return (await once(socket, 'message')).map(String)[0] ?? '';
}

function hash(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

describe('a tunnel', () => {
  test('carries 16 MiB both ways, byte for byte, and reports how many', async () => {
    const target = await startTarget((socket) => socket.pipe(socket));
    const session = randomUUID();
    const stream = createWebSocketStream(await openTo(target, [], session));
    const data = randomBytes(16 * mebibyte);
    const received: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (part: Buffer) => {
      received.push(part);
      bytes += part.length;
      if (bytes === data.length) stream.end();
    });
    // Pieces of odd sizes, so that frames and reads never fall together.
    for (let start = 0; start < data.length;) {
      const size = 1 + Math.floor(Math.random() * 300_000);
      if (!stream.write(data.subarray(start, start + size))) await once(stream, 'drain');
      start += size;
    }

    expect(await broker.findClose(session)).toMatchObject({
      bytesUp: data.length,
      bytesDown: data.length,
      reason: 'client-closed',
    });
    expect(hash(Buffer.concat(received))).toBe(hash(data));
  });

  test('carries what the client sent with its handshake', async () => {
    const target = await startTarget((socket) => socket.pipe(socket));
    const socket = await gateway.openTls();
    const authorization = `Bearer ${await broker.issueTicket(target.port)}`;
    const early = clientFrame(Buffer.from('early'));
    socket.write(Buffer.concat([Buffer.from(formatUpgrade({ authorization })), early]));
    let seen = '';
    for await (const part of socket) {
      seen += String(part);
      if (seen.endsWith('early')) break;
    }

    expect(seen).toMatch(/^HTTP\/1\.1 101 /);
    socket.destroy();
  });
});

describe('the end of a stream', () => {
  test('of the client is carried to the target, which may still answer', async () => {
    const target = await startTarget((socket) => {
      socket.on('end', () => socket.end('all read'));
      socket.resume();
    });
    const socket = await openTo(target, halfClose);
    socket.send(Buffer.from('question'));
    socket.send(Buffer.alloc(0));

    // The empty message at the end says that the target has ended too.
    expect(await readAll(socket)).toEqual({
      data: Buffer.from('all read'),
      close: '1000 client-closed',
    });
  });

  test('of the target is carried to the client, which may still send', async () => {
    const target = await startTarget((socket) => socket.end('greeting'));
    const socket = await openTo(target, halfClose);
    const messages: Buffer[] = [];
    socket.on('message', (part: Buffer) => messages.push(part));
    socket.resume();
    while (messages.at(-1)?.length !== 0) await once(socket, 'message');
    const arrived = (await target.socket()).setEncoding('utf8');
    socket.send(Buffer.from('still here'));
    expect(await once(arrived, 'data')).toEqual(['still here']);
    socket.send(Buffer.alloc(0));

    expect(Buffer.concat(messages).toString()).toBe('greeting');
    expect((await readAll(socket)).close).toBe('1000 target-closed');
  });

  test('of the target closes a client that knows no half-close, after the last byte', async () => {
    const data = randomBytes(4 * mebibyte);
    const target = await startTarget((socket) => socket.end(data));

    const { data: seen, close } = await readAll(await openTo(target));

    expect(hash(seen)).toBe(hash(data));
    expect(close).toBe('1000 target-closed');
  });

  test('is no empty message of a client that did not ask for half-close', async () => {
    const target = await startTarget((socket) => socket.pipe(socket));
    const socket = await openTo(target);
    socket.send(Buffer.alloc(0));

    expect(await ask(socket, 'after')).toBe('after');
    socket.close();
  });

  test('by reset of the target closes with 4502', async () => {
    const target = await startTarget((socket) => socket.on('data', () => socket.resetAndDestroy()));
    const socket = await openTo(target);
    socket.send(Buffer.from('x'));

    expect((await readAll(socket)).close).toBe('4502 target-lost');
  });

  test('by Close of the client ends the target after the last byte', async () => {
    const data = randomBytes(2 * mebibyte);
    const received = Promise.withResolvers<Buffer>();
    const target = await startTarget((socket) => {
      const parts: Buffer[] = [];
      socket.on('data', (part) => parts.push(part));
      socket.on('end', () => received.resolve(Buffer.concat(parts)));
    });
    const socket = await openTo(target);
    socket.send(data);
    socket.close(1000, 'done');

    expect((await readAll(socket)).close).toBe('1000 ');
    expect(hash(await received.promise)).toBe(hash(data));
  });

  test('by Close of the client destroys a target that does not end within 5 s', async () => {
    const target = await startTarget((socket) => {
      const talk = setInterval(() => socket.write('on and on'), 100);
      socket.resume().on('close', () => clearInterval(talk));
    });
    const socket = await openTo(target);
    const arrived = await target.socket();
    socket.close();
    await once(arrived, 'end');
    const start = performance.now();
    // By a reset, which is an error.
    await new Promise((resolve) => arrived.once('close', resolve));

    expect(performance.now() - start).toBeGreaterThan(4500);
    expect(performance.now() - start).toBeLessThan(7000);
  });

  test('by a client that vanishes ends the target and is reported as lost', async () => {
    const target = await startTarget((socket) => socket.resume());
    const session = randomUUID();
    const socket = await openTo(target, [], session);
    const arrived = await target.socket();
    socket.terminate();
    await once(arrived, 'end');

    expect(await broker.findClose(session)).toMatchObject({ reason: 'client-lost' });
  });
});

describe('a breach of the protocol', () => {
  test.each([
    ['text', 1003, clientFrame(Buffer.from('x'), { opcode: 1 })],
    ['an unmasked frame', 1002, clientFrame(Buffer.from('x'), { isMasked: false })],
    ['a bad close code', 1002, clientFrame(closePayload(1006), { opcode: 8 })],
    [
      'a flood of pings',
      1008,
      Buffer.concat(Array(501).fill(clientFrame(Buffer.alloc(0), { opcode: 9 }))),
    ],
  ])('by %s is answered with Close %i', async (_name, code, wire) => {
    const target = await startTarget((socket) => socket.resume());
    const socket = await gateway.openRaw(await broker.issueTicket(target.port));
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.write(wire);
    await once(socket, 'end');

    // Pongs may come first.
    const answer = Buffer.concat(parts);
    const at = answer.lastIndexOf(0x88);
    expect(answer.readUInt16BE(at + 2)).toBe(code);
  });

  test('ends one tunnel and no other', async () => {
    const target = await startTarget((socket) => socket.pipe(socket));
    const healthy = await openTo(target);
    const socket = await gateway.openRaw(await broker.issueTicket(target.port));
    socket.resume();
    socket.write(Buffer.from('garbage that is no frame at all'));
    await once(socket, 'close');

    expect(await ask(healthy, 'still well')).toBe('still well');
    healthy.close();
  });
});
