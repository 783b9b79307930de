import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type WebSocket from 'ws';
import { sessionViewShape, ticketAnswerShape } from '../../lib/session-view.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { echo, openTunnel, presentTicket, waitForClose } from '../support/tunnel-client.ts';

const leaseSeconds = 1;

describe('live control over two gateways', () => {
  let target: EchoServer;
  let stack: TestStack;

  beforeAll(async () => {
    target = await startEchoServer();
    stack = await startTestStack({
      targets: [testTarget('echo', target.port, 'tcp')],
      gateways: 2,
      brokerSettings: { SALLYPORT_LEASE_SECONDS: String(leaseSeconds) },
    });
  });

  afterAll(async () => {
    await stack?.close();
    await target?.close();
  });

  async function openSession() {
    const request = {
      target: testTarget('echo', target.port).id,
      protocol: 'tcp',
      port: target.port,
      durationSeconds: 60,
    };
    const { body } = await stack.call('ada', 'POST', '/api/sessions', request);
    return sessionViewShape.parse(body);
  }

  async function openTunnels(session: string, count: number): Promise<readonly WebSocket[]> {
    const endpoints = stack.gateways.map(({ url }) => url);
    return Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const { body } = await stack.call('ada', 'POST', `/api/sessions/${session}/tickets`, {});
        const { ticket } = ticketAnswerShape.parse(body);
        return openTunnel(endpoints[i % endpoints.length] ?? '', ticket, stack.caFile);
      }),
    );
  }

  // Threats 20 and 21.
  test('a lock on a caller cuts all ten connections within lease + 2 s, and no retry gets in', async () => {
    const session = await openSession();
    const sockets = await openTunnels(session.id, 10);
    const { body: spare } = await stack.call(
      'ada',
      'POST',
      `/api/sessions/${session.id}/tickets`,
      {},
    );
    const { ticket } = ticketAnswerShape.parse(spare);
    const who = await stack.call('ada', 'GET', '/api/whoami');
    const caller = /"id":"([^"]+)"/.exec(JSON.stringify(who.body))?.[1] ?? '';
    const path = `/api/locks/${randomUUID()}`;
    const closes = sockets.map(waitForClose);

    const lockedAt = performance.now();
    const lock = { kind: 'caller', value: caller, message: 'Account under review.' };
    const set = await stack.call('grace', 'PUT', path, lock);
    const codes = await Promise.all(closes);
    const tookSeconds = (performance.now() - lockedAt) / 1000;
    const retry = await presentTicket(session.endpoint, ticket, stack.caFile);
    const renewed = await stack.call('ada', 'POST', `/api/sessions/${session.id}/tickets`, {});
    const another = await stack.call('ada', 'POST', '/api/sessions', {
      target: testTarget('echo', target.port).id,
      protocol: 'tcp',
      port: target.port,
    });
    await stack.call('grace', 'DELETE', path);

    expect(set.status).toBe(200);
    expect(new Set(codes)).toEqual(new Set([4403]));
    expect(tookSeconds).toBeLessThan(leaseSeconds + 2);
    expect(retry).toMatchObject({ outcome: 'refused', status: 403 });
    expect(renewed).toMatchObject({ status: 403, body: { code: 'locked' } });
    expect(another).toMatchObject({ status: 403, body: { code: 'locked' } });
    await expect.poll(async () => countCloses(session.id, 'locked'), { timeout: 5000 }).toBe(10);
  });

  test('an extended session keeps its connection past the first deadline', async () => {
    const session = await openSession();
    const [socket] = await openTunnels(session.id, 1);
    if (socket === undefined) throw new Error('no connection');

    const path = `/api/sessions/${session.id}/extend`;
    const { status, body } = await stack.call('ada', 'POST', path, { durationSeconds: 600 });
    const extended = sessionViewShape.parse(body);
    const data = randomBytes(10_000);
    const echoed = await echo(socket, data);
    socket.terminate();

    expect(status).toBe(200);
    expect(new Date(extended.deadline).getTime()).toBeGreaterThan(
      new Date(session.deadline).getTime() + 500_000,
    );
    expect(echoed.equals(data)).toBe(true);
  });

  test('one call ends all sessions of a caller', async () => {
    const sessions = [await openSession(), await openSession(), await openSession()];
    const [socket] = await openTunnels(sessions[0]?.id ?? '', 1);
    if (socket === undefined) throw new Error('no connection');
    const closed = waitForClose(socket);

    const filter = { caller: sessions[0]?.caller.id };
    const { status, body } = await stack.call('grace', 'POST', '/api/terminations', filter);

    expect(status).toBe(200);
    expect(JSON.stringify(body)).toContain(sessions[2]?.id);
    expect(await closed).toBe(4410);
  });

  async function countCloses(session: string, reason: string): Promise<number> {
    const entries = await readAudit(stack.audit);
    return entries.filter(
      (entry) =>
        entry.type === 'connection.closed' &&
        entry['session'] === session &&
        entry['reason'] === reason,
    ).length;
  }
});
