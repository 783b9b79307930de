import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type WebSocket from 'ws';
import { sessionViewShape } from '../../lib/session-view.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { echo, openTunnel } from '../support/tunnel-client.ts';

// Threat 23: whatever is killed, what was let through is in the record, and what was opened is recorded as closed.
describe('kill -9 in mid-session', () => {
  let target: EchoServer;
  let stack: TestStack;

  beforeAll(async () => {
    target = await startEchoServer();
    stack = await startTestStack({
      targets: [testTarget('echo', target.port, 'tcp')],
      brokerSettings: {
        SALLYPORT_LEASE_SECONDS: '1',
        SALLYPORT_GRACE_SECONDS: '20',
        SALLYPORT_SESSIONS_PER_CALLER: '200',
      },
    });
  });

  afterAll(async () => {
    await stack?.close();
    await target?.close();
  });

  async function open(): Promise<{ readonly id: string; readonly socket: WebSocket }> {
    const { id } = testTarget('echo', target.port);
    const request = { target: id, protocol: 'tcp', port: target.port };
    const { body } = await stack.call('ada', 'POST', '/api/sessions', request);
    const session = sessionViewShape.parse(body);
    const { endpoint, ticket } = session;
    const socket = await openTunnel(endpoint, ticket?.ticket ?? '', stack.caFile);
    socket.on('error', () => undefined);
    return { id: session.id, socket };
  }

  async function findClose(session: string) {
    const entries = await readAudit(stack.audit);
    return entries.filter(
      (entry) => entry.type === 'connection.closed' && entry['session'] === session,
    );
  }

  test('a connection survives the death of a broker, and its end is recorded once one is back', async () => {
    const { id, socket } = await open();
    const broker = stack.brokers[0];
    if (broker === undefined) throw new Error('no broker');

    await broker.kill();
    const data = randomBytes(50_000);
    expect((await echo(socket, data)).equals(data)).toBe(true);
    socket.close();
    await once(socket, 'close');
    await stack.startBroker(Number(new URL(stack.url).port));

    await vi.waitFor(async () => expect(await findClose(id)).toHaveLength(1), {
      timeout: 15_000,
      interval: 250,
    });
    expect(await findClose(id)).toMatchObject([
      { reason: 'client-closed', bytesUp: data.length, bytesDown: data.length },
    ]);
  });

  test('every ticket that left a broker before it was killed has its entry', async () => {
    const issued: string[] = [];
    const { id } = testTarget('echo', target.port);
    const request = { target: id, protocol: 'tcp', port: target.port };
    const broker = await stack.startBroker();
    const work = Array.from({ length: 24 }, async () => {
      const answer = await stack
        .call('ada', 'POST', `${broker.url}/api/sessions`, request)
        .catch(() => undefined);
      if (answer?.status === 201) issued.push(sessionViewShape.parse(answer.body).id);
      // Killed when some have been answered and others have not.
      if (issued.length === 8) await broker.kill();
    });
    await Promise.all(work);

    const entries = await readAudit(stack.audit);
    const recorded = new Set(
      entries.filter(({ type }) => type === 'ticket.issued').map((entry) => entry['session']),
    );
    expect(issued.length).toBeGreaterThanOrEqual(8);
    expect(issued.filter((session) => !recorded.has(session))).toEqual([]);
  });

  test('the connections of a killed gateway end, and are recorded as lost', async () => {
    const { id, socket } = await open();
    const data = randomBytes(10_000);
    await echo(socket, data);
    const gateway = stack.gateways[0];
    if (gateway === undefined) throw new Error('no gateway');

    const closed = once(socket, 'close');
    await gateway.kill();
    await closed;
    await stack.startGateway(Number(new URL(gateway.url).port));

    // Lease, grace, margin, and the half minute of the timer.
    await vi.waitFor(async () => expect(await findClose(id)).toHaveLength(1), {
      timeout: 75_000,
      interval: 1000,
    });
    expect(await findClose(id)).toMatchObject([{ reason: 'gateway-lost' }]);
  }, 120_000);
});
