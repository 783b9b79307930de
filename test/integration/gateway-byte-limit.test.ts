import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const broker = new FakeBroker();
const maxBytes = 1_000_003;
const data = randomBytes(3_000_000);
let gateway: GatewayProcess;
let sink: TcpTarget;
let source: TcpTarget;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
  sink = await TcpTarget.start(() => {});
  source = await TcpTarget.start((socket) => socket.write(data));
});

afterEach(() => {
  Object.assign(broker.behaviour, { grant: {}, bytesElsewhere: [] });
});

afterAll(async () => {
  await gateway.stop();
  await sink.stop();
  await source.stop();
  await broker.close();
});

/** Opens a connection of a session of 1,000,003 bytes. */
async function open(port: number, session: string, before = { here: 0, elsewhere: 0 }) {
  broker.behaviour.grant = { terms: { maxBytes }, bytesBefore: before };
  const socket = await gateway.open(await broker.issueTicket(port, { session }));
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  socket.on('close', (code, reason) => resolve(`${code} ${reason.toString()}`));
  return { socket, closed };
}

/** Collects what a socket receives, from now on. */
function collect(socket: WebSocket): Buffer[] {
  const parts: Buffer[] = [];
  socket.on('message', (part: Buffer) => parts.push(part));
  socket.resume();
  return parts;
}

describe('a session whose bytes are limited', () => {
  test('sends its last byte down, and not one more', async () => {
    const session = randomUUID();
    const { socket, closed } = await open(source.port, session);
    const parts = collect(socket);

    expect(await closed).toBe('4413 byte-limit');
    expect(Buffer.concat(parts).equals(data.subarray(0, maxBytes))).toBe(true);
    expect(await broker.findClose(session)).toMatchObject({
      reason: 'byte-limit',
      bytesUp: 0,
      bytesDown: maxBytes,
    });
  });

  test('sends its last byte up, and not one more', async () => {
    const session = randomUUID();
    const nth = sink.sockets.length;
    const { socket, closed } = await open(sink.port, session);
    const target = await sink.socket(nth);
    const parts: Buffer[] = [];
    target.on('data', (part: Buffer) => parts.push(part));
    // It may end in peace or by a reset.
    const ended = finished(target, { writable: false }).catch(() => undefined);
    collect(socket);
    socket.send(data);

    expect(await closed).toBe('4413 byte-limit');
    expect(await broker.findClose(session)).toMatchObject({ bytesUp: maxBytes, bytesDown: 0 });
    await ended;
    const received = Buffer.concat(parts);
    expect(received.length).toBeLessThanOrEqual(maxBytes);
    expect(received.equals(data.subarray(0, received.length))).toBe(true);
  });

  test('cuts all its connections when its bytes are used up, and those of no other', async () => {
    const session = randomUUID();
    const idle = await open(sink.port, session);
    const stranger = await open(sink.port, randomUUID());
    collect(idle.socket);
    const busy = await open(source.port, session);
    collect(busy.socket);

    expect(await Promise.all([busy.closed, idle.closed])).toEqual([
      '4413 byte-limit',
      '4413 byte-limit',
    ]);
    expect(stranger.socket.readyState).toBe(stranger.socket.OPEN);
    stranger.socket.terminate();
  });

  test('has what other connections have left', async () => {
    const session = randomUUID();
    const { socket, closed } = await open(source.port, session, { here: 3, elsewhere: 999_000 });
    const parts = collect(socket);
    await closed;

    expect(Buffer.concat(parts).length).toBe(1000);
  });

  test('is cut by a lease when it was used up at other gateways', async () => {
    const session = randomUUID();
    const { socket, closed } = await open(sink.port, session);
    collect(socket);
    await broker.nextLease();
    broker.behaviour.bytesElsewhere = [{ session, bytes: maxBytes }];

    expect(await closed).toBe('4413 byte-limit');
  });

  test('is not cut one byte before its limit', async () => {
    const session = randomUUID();
    const before = { here: 0, elsewhere: maxBytes - 11 };
    const echo = await TcpTarget.start((target) => target.pipe(target));
    const { socket } = await open(echo.port, session, before);
    const received = once(socket, 'message');
    socket.resume();
    socket.send(Buffer.from('hello'));
    await received;
    await broker.nextLease();
    await broker.nextLease();

    expect(socket.readyState).toBe(socket.OPEN);
    socket.terminate();
    expect(await broker.findClose(session)).toMatchObject({ reason: 'client-lost', bytesUp: 5 });
    await echo.stop();
  });
});
