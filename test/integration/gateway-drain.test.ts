import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

let broker: FakeBroker;
let target: TcpTarget;

beforeEach(async () => {
  broker = new FakeBroker();
  await broker.listen();
  target = await TcpTarget.start((socket) => socket.pipe(socket));
});

afterEach(async () => {
  await target.stop();
  await broker.close();
});

describe('SIGTERM', () => {
  test('refuses what is new, lets live connections run, then closes and reports them, and exits 0', async () => {
    const gateway = await GatewayProcess.start(broker, { SALLYPORT_DRAIN_SECONDS: '2' });
    const session = randomUUID();
    const socket = await gateway.open(await broker.issueTicket(target.port, { session }));
    const closed = once(socket, 'close');
    gateway.process.kill('SIGTERM');
    await gateway.findLine('draining');
    const opening = gateway.open(await broker.issueTicket(target.port));

    await expect(opening).rejects.toMatchObject({ status: 503, code: 'gateway-draining' });
    expect(await gateway.health()).toBe(503);
    socket.resume();
    socket.send(Buffer.from('still served'));
    expect((await once(socket, 'message')).map(String)[0]).toBe('still served');
    expect((await closed).map(String)).toEqual(['4503', 'gateway-drained']);
    expect(await broker.findClose(session)).toMatchObject({
      reason: 'gateway-drained',
      bytesUp: 12,
    });
    expect(await gateway.exited).toBe(0);
    expect(gateway.lines.at(-1)).toMatchObject({ event: 'drained' });
    await gateway.stop();
  });

  test('exits as soon as the last connection has ended', async () => {
    const gateway = await GatewayProcess.start(broker, { SALLYPORT_DRAIN_SECONDS: '600' });
    const session = randomUUID();
    const socket = await gateway.open(await broker.issueTicket(target.port, { session }));
    gateway.process.kill('SIGTERM');
    await gateway.findLine('draining');
    socket.resume();
    socket.close();

    expect(await gateway.exited).toBe(0);
    // An empty event loop exits with 0 as well, so the code alone does not say that draining came to its end.
    expect(gateway.lines.at(-1)).toMatchObject({ event: 'drained' });
    expect(await broker.findClose(session)).toMatchObject({ reason: 'client-closed' });
    await gateway.stop();
  });

  test('during a redemption waits for it, cuts its connection, and reports that before it exits', async () => {
    const gateway = await GatewayProcess.start(broker, { SALLYPORT_DRAIN_SECONDS: '0' });
    const session = randomUUID();
    const { promise, resolve } = Promise.withResolvers<void>();
    Object.assign(broker.behaviour, { held: promise, lostCloses: 1 });
    const redeeming = broker.nextRedemption();
    const opening = gateway.open(await broker.issueTicket(target.port, { session }));
    await redeeming;
    gateway.process.kill('SIGTERM');
    await gateway.findLine('draining');
    expect(await gateway.health()).toBe(503);
    resolve();
    const socket = await opening;
    socket.resume();

    expect((await once(socket, 'close')).map(String)).toEqual(['4503', 'gateway-drained']);
    expect(await gateway.exited).toBe(0);
    expect(broker.closes).toMatchObject([{ session, reason: 'gateway-drained' }]);
    await gateway.stop();
  });

  test('a second time exits at once', async () => {
    const gateway = await GatewayProcess.start(broker, { SALLYPORT_DRAIN_SECONDS: '600' });
    await gateway.open(await broker.issueTicket(target.port));
    gateway.process.kill('SIGTERM');
    await gateway.findLine('draining');
    gateway.process.kill('SIGTERM');

    expect(await gateway.exited).toBe(1);
    expect(gateway.lines.map((line) => line.event)).not.toContain('drained');
    await gateway.stop();
  });
});
