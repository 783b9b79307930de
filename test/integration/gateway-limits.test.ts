import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const broker = new FakeBroker();
let gateway: GatewayProcess;
let target: TcpTarget;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
  target = await TcpTarget.start((socket) => socket.pipe(socket));
});

afterEach(() => {
  broker.behaviour.held = Promise.resolve();
});

afterAll(async () => {
  await gateway.stop();
  await target.stop();
  await broker.close();
});

test('one caller, and all callers, may hold as many connections as the settings say', async () => {
  const small = await GatewayProcess.start(broker, {
    SALLYPORT_MAX_CONNECTIONS: '3',
    SALLYPORT_MAX_CONNECTIONS_PER_CALLER: '2',
  });
  const open = async (caller: string): Promise<WebSocket> =>
    small.open(await broker.issueTicket(target.port, { caller }));
  const first = await open('ada');
  await open('ada');
  await expect(open('ada')).rejects.toMatchObject({ status: 429, code: 'connection-limit' });
  await open('eve');
  await expect(open('eve')).rejects.toMatchObject({ status: 503, code: 'gateway-full' });
  first.resume();
  first.close();
  await once(first, 'close');

  expect((await open('ada')).readyState).toBe(first.OPEN);
  await small.stop();
});

test('a handle counts for its caller as a ticket does', async () => {
  const small = await GatewayProcess.start(broker, { SALLYPORT_MAX_CONNECTIONS_PER_CALLER: '1' });
  const session = randomUUID();
  await small.open(broker.issueHandle(target.port));
  const opening = small.open(broker.issueHandle(target.port, { session }));

  await expect(opening).rejects.toMatchObject({ status: 429, code: 'connection-limit' });
  expect(await broker.findClose(session)).toMatchObject({ reason: 'connection-limit' });
  await small.stop();
});

describe('handles that are being redeemed', () => {
  /** Opens with handles that the broker does not answer yet. */
  async function holdHandles(at: GatewayProcess, count: number): Promise<Promise<WebSocket>[]> {
    const openings: Promise<WebSocket>[] = [];
    for (let i = 0; i < count; i += 1) {
      const redeeming = broker.nextRedemption();
      openings.push(at.open(broker.issueHandle(target.port)));
      await redeeming;
    }
    return openings;
  }

  // Anyone can send 43 characters.
  test('take a quarter of the gateway at most, so that tickets still get in', async () => {
    const small = await GatewayProcess.start(broker, { SALLYPORT_MAX_CONNECTIONS: '8' });
    const { promise, resolve } = Promise.withResolvers<void>();
    broker.behaviour.held = promise;
    const openings = await holdHandles(small, 2);
    const third = small.open(broker.issueHandle(target.port));
    await expect(third).rejects.toMatchObject({ status: 503, code: 'gateway-full' });
    const ticket = small.open(await broker.issueTicket(target.port));
    resolve();

    expect((await ticket).readyState).toBe(WebSocket.OPEN);
    await Promise.all(openings);
    expect((await small.open(broker.issueHandle(target.port))).readyState).toBe(WebSocket.OPEN);
    await small.stop();
  });

  test('are at most 16 of one address', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    broker.behaviour.held = promise;
    const openings = await holdHandles(gateway, 16);
    const opening = gateway.open(broker.issueHandle(target.port));

    await expect(opening).rejects.toMatchObject({ status: 429, code: 'connection-limit' });
    resolve();
    for (const socket of await Promise.all(openings)) socket.terminate();
  });
});

describe('sockets without a connection', () => {
  async function connectFrom(at: GatewayProcess, localAddress: string): Promise<Socket> {
    const { hostname: host, port } = new URL(at.url);
    const socket = connect({ host, port: Number(port), localAddress }).on('error', () => {});
    await once(socket, 'connect');
    return socket.resume();
  }

  // Threat 29. Those of a good ticket do not count, so that an ingress in front, which is one address, may hold many.
  test('take half of the gateway at most when they come from one address', async () => {
    const small = await GatewayProcess.start(broker, { SALLYPORT_MAX_CONNECTIONS: '4' });
    for (let i = 0; i < 3; i += 1) await small.open(await broker.issueTicket(target.port));
    const first = await connectFrom(small, '127.0.0.1');
    const second = await connectFrom(small, '127.0.0.1');
    await once(await connectFrom(small, '127.0.0.1'), 'close');
    expect([first.closed, second.closed]).toEqual([false, false]);
    const socket = await connectFrom(small, '127.0.0.2');
    await small.openTls({ socket });
    first.end();
    await once(first, 'close');

    expect(await small.health()).toBe(200);
    await small.stop();
  });

  test('and those with one are twice the connections at most', async () => {
    const small = await GatewayProcess.start(broker, { SALLYPORT_MAX_CONNECTIONS: '1' });
    const first = await connectFrom(small, '127.0.0.1');
    const second = await connectFrom(small, '127.0.0.2');
    await once(await connectFrom(small, '127.0.0.3'), 'close');

    expect([first.closed, second.closed]).toEqual([false, false]);
    await small.stop();
  });
});
