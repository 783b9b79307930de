import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import type { RedeemAnswer } from '../../lib/gateway-call.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { formatUpgrade, GatewayProcess } from '../support/gateway-process.ts';
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
  Object.assign(broker.behaviour, {
    isAway: false,
    grant: {},
    verdicts: [],
    held: Promise.resolve(),
  });
});

afterAll(async () => {
  await gateway.stop();
  await target.stop();
  await broker.close();
});

async function openSession(
  grant: Partial<RedeemAnswer> = {},
): Promise<{ socket: WebSocket; session: string; connection: string; closed: Promise<string> }> {
  const session = randomUUID();
  broker.behaviour.grant = grant;
  const socket = await gateway.open(await broker.issueTicket(target.port, { session }));
  const connection = broker.redemptions.at(-1)?.nonce ?? '';
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  socket.on('close', (code, reason) => resolve(`${code} ${reason.toString()}`));
  socket.resume();
  return { socket, session, connection, closed };
}

describe('a lease', () => {
  test('carries the bytes so far and the cursor of the last answer', async () => {
    const { socket, connection, session } = await openSession();
    socket.send(Buffer.from('twelve bytes'));
    await once(socket, 'message');
    const lease = await broker.nextLease(({ connections }) =>
      connections.some((one) => one.connection === connection && one.bytesDown === 12),
    );

    expect(lease.connections).toContainEqual({ connection, session, bytesUp: 12, bytesDown: 12 });
    expect(lease.cursor).toMatch(/^cursor-\d+$/);
    socket.close();
  });

  test('that is renewed keeps a connection beyond its grace', async () => {
    const { socket, connection } = await openSession({ graceSeconds: 0.5 });
    for (let i = 0; i < 6; i += 1) await broker.nextLease();
    socket.send(Buffer.from('alive'));

    expect((await once(socket, 'message')).map(String)[0]).toBe('alive');
    expect(broker.closes.map((close) => close.connection)).not.toContain(connection);
    socket.close();
  });

  test('that the broker ends cuts the connection with the reason it gives', async () => {
    const { closed, connection, session } = await openSession();
    broker.behaviour.verdicts = [
      { connection, verdict: 'close', reason: 'session-terminated' },
      { connection: randomUUID(), verdict: 'close', reason: 'policy' },
    ];

    expect(await closed).toBe('4410 session-terminated');
    expect(await broker.findClose(session)).toMatchObject({
      connection,
      reason: 'session-terminated',
    });
  });

  test('moves the deadline in both directions', async () => {
    const { closed, connection } = await openSession({
      deadline: new Date(Date.now() + 1500).toISOString(),
    });
    const later = Date.now() + 3000;
    broker.behaviour.verdicts = [
      { connection, verdict: 'deadline', deadline: new Date(later).toISOString() },
    ];

    expect(await closed).toBe('4410 session-deadline');
    expect(Date.now()).toBeGreaterThan(later - 20);
    expect(Date.now()).toBeLessThan(later + 1000);
  });
});

describe('a connection', () => {
  test('is cut at its deadline', async () => {
    const deadline = new Date(Date.now() + 800).toISOString();
    const { closed, session } = await openSession({ deadline });

    expect(await closed).toBe('4410 session-deadline');
    expect(await broker.findClose(session)).toMatchObject({ reason: 'session-deadline' });
  });

  test('is cut when no payload has passed for the time that its terms name, pings or not', async () => {
    const { socket, closed, session } = await openSession({ terms: { maxIdleSeconds: 1 } });
    const pings = setInterval(() => socket.ping(), 100);
    socket.send(Buffer.from('payload'));
    await once(socket, 'message');
    const start = performance.now();

    expect(await closed).toBe('4408 idle');
    clearInterval(pings);
    expect(performance.now() - start).toBeGreaterThan(900);
    expect(await broker.findClose(session)).toMatchObject({ reason: 'idle', bytesUp: 7 });
  });

  // Threat 20: with the broker gone, nobody keeps an access that nobody can end.
  test('is cut when the grace of its lease is over, and reported when the broker is back', async () => {
    const { socket, closed, session } = await openSession({ graceSeconds: 1 });
    await broker.nextLease();
    broker.behaviour.isAway = true;
    const start = performance.now();
    await gateway.findLine('broker-unavailable');
    socket.send(Buffer.from('still served'));
    await once(socket, 'message');

    expect(await closed).toBe('4500 lease-lost');
    expect(performance.now() - start).toBeLessThan(3000);
    broker.behaviour.isAway = false;
    expect(await broker.findClose(session)).toMatchObject({ reason: 'lease-lost', bytesUp: 12 });
  });

  // A connection that the broker has granted would be live there, and count, until its lease has run out.
  test.each(['ticket', 'handle'])(
    'is reported as lost when its client hung up while the %s was redeemed',
    async (form) => {
      const session = randomUUID();
      const { promise, resolve } = Promise.withResolvers<void>();
      broker.behaviour.held = promise;
      const redeeming = broker.nextRedemption();
      const authorization = `Bearer ${
        form === 'handle'
          ? broker.issueHandle(target.port, { session })
          : await broker.issueTicket(target.port, { session })
      }`;
      const socket = await gateway.openTls();
      socket.write(formatUpgrade({ authorization }));
      await redeeming;
      socket.end();
      socket.resume();
      await once(socket, 'close');
      resolve();

      expect(await broker.findClose(session)).toMatchObject({ reason: 'client-lost' });
    },
  );

  test('that ended while the broker was away is named in leases until its report has arrived', async () => {
    const { socket, session, connection } = await openSession();
    broker.behaviour.isAway = true;
    socket.close();
    await gateway.findLine('close-report-failed', (line) => line['connection'] === connection);
    broker.behaviour.isAway = false;
    const lease = await broker.nextLease();

    expect(lease.connections.map((one) => one.connection)).toContain(connection);
    expect(await broker.findClose(session)).toMatchObject({ reason: 'client-closed' });
  });
});

// Threat 7.
test('a clock that differs by 40 s refuses new connections and turns health red', async () => {
  const skewed = new FakeBroker();
  skewed.behaviour.clockSkewSeconds = 40;
  await skewed.listen();
  const other = await GatewayProcess.start(skewed);
  const opening = other.open(await skewed.issueTicket(target.port));

  await expect(opening).rejects.toMatchObject({ status: 503, code: 'clock-skewed' });
  expect(await other.health()).toBe(503);
  expect(await other.findLine('clock-skewed')).toMatchObject({ seconds: 40 });
  await other.stop();
  await skewed.close();
});
