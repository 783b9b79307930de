import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type WebSocket from 'ws';
import { sessionViewShape, ticketAnswerShape } from '../../lib/session-view.ts';
import { TcpTarget } from '../support/tcp-target.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { openTunnel, presentTicket, waitForClose } from '../support/tunnel-client.ts';

const leaseSeconds = 1;
// What the test policy says, and what the target sends in a second on each connection.
const maxBytes = 4 * 2 ** 20;
const piece = Buffer.alloc(65_536);
const pieceMilliseconds = 50;
const bytesPerSecond = (piece.length * 1000) / pieceMilliseconds;

describe('policy that limits the bytes and the networks of a session', () => {
  let target: TcpTarget;
  let stack: TestStack;

  beforeAll(async () => {
    target = await TcpTarget.start(drip);
    stack = await startTestStack({
      targets: [withTag('small', 1), withTag('elsewhere', 2)],
      gateways: 2,
      brokerSettings: { SALLYPORT_LEASE_SECONDS: String(leaseSeconds) },
    });
  });

  afterAll(async () => {
    await stack?.close();
    await target?.stop();
  });

  function drip(socket: Socket): void {
    const timer = setInterval(() => socket.write(piece), pieceMilliseconds);
    socket.on('close', () => clearInterval(timer));
    socket.on('end', () => socket.destroy());
  }

  function withTag(env: string, number: number) {
    const id = `7a59e700-0000-4000-8000-00000000b17${String(number)}`;
    return { ...testTarget(env, target.port, 'tcp'), id, tags: { env } };
  }

  async function openSession(env: string, number: number) {
    const request = { target: withTag(env, number).id, protocol: 'tcp', port: target.port };
    const { body } = await stack.call('ada', 'POST', '/api/sessions', request);
    return sessionViewShape.parse(body);
  }

  async function createTicket(session: string): Promise<string> {
    const { body } = await stack.call('ada', 'POST', `/api/sessions/${session}/tickets`, {});
    return ticketAnswerShape.parse(body).ticket;
  }

  test('two gateways cut a session that they have used up together, within one lease', async () => {
    const { id, endpoint } = await openSession('small', 1);
    const endpoints = stack.gateways.map(({ url }) => url);
    const sockets: WebSocket[] = [];
    for (const url of endpoints)
      sockets.push(await openTunnel(url, await createTicket(id), stack.caFile));
    const codes = await Promise.all(sockets.map(waitForClose));
    const refused = await presentTicket(endpoint, await createTicket(id), stack.caFile);

    expect(codes).toEqual([4413, 4413]);
    expect(refused).toMatchObject({ outcome: 'refused', status: 403 });
    expect(JSON.stringify(refused)).toContain('byte-limit');
    await expect.poll(async () => (await findCloses(id)).length, { timeout: 5000 }).toBe(2);
    const closes = await findCloses(id);
    const carried = closes.reduce((sum, { bytesDown }) => sum + Number(bytesDown), 0);
    expect(closes.map(({ reason }) => reason)).toEqual(['byte-limit', 'byte-limit']);
    expect(carried).toBeGreaterThanOrEqual(maxBytes);
    // Each lease says how much was left a moment ago, and the other gateway reports once in a lease as well.
    const overshoot = carried - maxBytes;
    console.log(
      `limit ${String(maxBytes)} bytes at ${String(bytesPerSecond)} bytes/s on each of two gateways: ` +
        `${String(overshoot)} bytes (${((overshoot / maxBytes) * 100).toFixed(1)} %) too many`,
    );
    expect(overshoot).toBeLessThan(2 * bytesPerSecond * (leaseSeconds + 1));
  });

  test('a caller from a network that policy does not list is refused at the gateway, with a record', async () => {
    const { id, endpoint, ticket } = await openSession('elsewhere', 2);
    const refused = await presentTicket(endpoint, ticket?.ticket ?? '', stack.caFile);

    expect(refused).toMatchObject({ outcome: 'refused', status: 403 });
    expect(JSON.stringify(refused)).toContain('source-forbidden');
    const entries = await readAudit(stack.audit);
    expect(entries.findLast((entry) => entry['session'] === id)).toMatchObject({
      type: 'ticket.refused',
      code: 'source-forbidden',
      clientIp: '127.0.0.1',
    });
  });

  async function findCloses(
    session: string,
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const entries = await readAudit(stack.audit);
    return entries.filter(
      (entry) => entry.type === 'connection.closed' && entry['session'] === session,
    );
  }
});
