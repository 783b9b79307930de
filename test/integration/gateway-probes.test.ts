import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { choosePort, portOf } from '../../local/free-port.ts';
import { signProbe } from '../../lib/probe.ts';
import { FakeBroker, pool } from '../support/fake-broker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const broker = new FakeBroker();
let gateway: GatewayProcess;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
  // Until it knows how long a lease is, a gateway asks every 15 s.
  const target = await TcpTarget.start(() => {});
  const socket = await gateway.open(await broker.issueTicket(target.port));
  socket.terminate();
  await target.stop();
});

afterEach(() => {
  broker.behaviour.probes = [];
});

afterAll(async () => {
  await gateway.stop();
  await broker.close();
});

/** Has the gateway try a port, and returns what it found. */
async function probe(port: number, host = '127.0.0.1'): Promise<string> {
  const issuedAt = new Date();
  const expiresAt = new Date(issuedAt.getTime() + 60_000);
  const session = randomUUID();
  const order = { id: randomUUID(), session, gateway: pool, host, port, issuedAt, expiresAt };
  const token = signProbe(order, broker.url, await broker.signingKey());
  // Others stay in the feed as well.
  broker.behaviour.probes = [...broker.behaviour.probes, token];
  const report = await broker.findProbe(session);
  expect(report.probe).toBe(order.id);
  return report.outcome;
}

describe('a probe', () => {
  test('finds a port closed until it opens, sends no byte, and hangs up', async () => {
    const port = await choosePort();
    expect(await probe(port)).toBe('refused');

    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(port, '127.0.0.1');
    await once(server, 'listening');
    expect(await probe(port)).toBe('open');

    const received = await Promise.all(sockets.map(async (socket) => buffer(socket)));
    expect(received.map((bytes) => bytes.length)).toEqual([0]);
    server.close();
  });

  test('is given up after three seconds when nothing answers', async () => {
    const startedAt = performance.now();
    // Reserved for documentation (RFC 5737): routed nowhere.
    const outcome = await probe(22, '192.0.2.1');
    const seconds = (performance.now() - startedAt) / 1000;

    // A network without a route says so at once.
    expect(['timeout', 'refused']).toContain(outcome);
    expect(seconds).toBeLessThan(5);
  });

  test('dials nothing that the gateway may not dial', async () => {
    expect(await probe(80, '169.254.169.254')).toBe('refused');
    expect(await gateway.findLine('probe-forbidden')).toBeDefined();
  });

  test('is made once, and once more when its report was lost', async () => {
    const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = portOf(server.address());
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });
    await probe(port);
    for (let lease = 0; lease < 3; lease += 1) await broker.nextLease();
    expect(connections).toBe(1);

    broker.behaviour.lostReports = 1;
    await probe(port);
    for (let lease = 0; lease < 4; lease += 1) await broker.nextLease();
    expect(connections).toBe(3);
    server.close();
  });
});
