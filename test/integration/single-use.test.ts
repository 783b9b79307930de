import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { sessionViewShape, ticketAnswerShape } from '../../lib/session-view.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { echo, openTunnel, presentTicket, waitForClose } from '../support/tunnel-client.ts';

const leaseSeconds = 1;

describe('two gateways and two brokers on one store', () => {
  let target: EchoServer;
  let stack: TestStack;

  beforeAll(async () => {
    target = await startEchoServer();
    stack = await startTestStack({
      targets: [testTarget('echo', target.port, 'tcp'), briefTarget(target.port)],
      brokers: 2,
      gateways: 2,
      brokerSettings: {
        SALLYPORT_LEASE_SECONDS: String(leaseSeconds),
        SALLYPORT_SESSIONS_PER_CALLER: '100',
      },
    });
  });

  afterAll(async () => {
    await stack?.close();
    await target?.close();
  });

  async function openSession(broker = 0) {
    const base = stack.brokers[broker]?.url ?? '';
    const { id } = testTarget('echo', target.port);
    const request = { target: id, protocol: 'tcp', port: target.port };
    const { body } = await stack.call(
      'ada',
      'PUT',
      `${base}/api/sessions/${randomUUID()}`,
      request,
    );
    return sessionViewShape.parse(body);
  }

  function endpoints(): readonly string[] {
    return stack.gateways.map(({ url }) => new URL('/connect', url.replace(/^http/, 'ws')).href);
  }

  // Threat 2: the claim is one row, whichever gateway and whichever broker writes it.
  test('40 tickets, each used 20 times at once, let one connection in each', async () => {
    const session = await openSession();
    const before = target.connections();
    const winners: number[] = [];
    for (let round = 0; round < 40; round += 1) {
      const path = `${stack.brokers[round % 2]?.url ?? ''}/api/sessions/${session.id}/tickets`;
      const { body } = await stack.call('ada', 'POST', path, {
        form: round % 4 === 3 ? 'handle' : 'jwt',
      });
      const { ticket } = ticketAnswerShape.parse(body);
      const attempts = await Promise.all(
        Array.from({ length: 20 }, async (_, i) =>
          presentTicket(endpoints()[i % 2] ?? '', ticket, stack.caFile),
        ),
      );
      const open = attempts.flatMap((attempt) =>
        attempt.outcome === 'open' ? [attempt.socket] : [],
      );
      winners.push(open.length);
      const refused = attempts.flatMap((attempt) =>
        attempt.outcome === 'refused' ? [attempt.status] : [],
      );
      expect(new Set(refused)).toEqual(new Set([409]));
      for (const socket of open) socket.terminate();
    }

    expect(winners).toEqual(Array.from({ length: 40 }, () => 1));
    const entries = await readAudit(stack.audit);
    const redeemed = entries.filter(({ type }) => type === 'ticket.redeemed');
    expect(redeemed).toHaveLength(40);
    // A gateway dials while it redeems, so losers may touch the target, but no byte of theirs reaches it.
    expect(target.connections() - before).toBeGreaterThanOrEqual(40);
  });

  test('a session opened through one broker is terminated through the other and cut within one lease', async () => {
    const session = await openSession(0);
    const socket = await openTunnel(session.endpoint, session.ticket?.ticket ?? '', stack.caFile);
    const data = randomBytes(100_000);
    expect((await echo(socket, data)).equals(data)).toBe(true);

    const closed = waitForClose(socket);
    const askedAt = performance.now();
    const path = `${stack.brokers[1]?.url ?? ''}/api/sessions/${session.id}/terminate`;
    const { status } = await stack.call('ada', 'POST', path);
    const code = await closed;

    expect(status).toBe(200);
    expect(code).toBe(4410);
    expect(performance.now() - askedAt).toBeLessThan((leaseSeconds + 2) * 1000);
    const findTypes = async (): Promise<readonly string[]> =>
      (await readAudit(stack.audit))
        .filter((entry) => entry['session'] === session.id)
        .map(({ type }) => type)
        .toSorted();
    // The gateway reports the close after it has closed.
    await expect.poll(findTypes, { timeout: 5000 }).toContain('connection.closed');
    expect(await findTypes()).toEqual([
      'connection.closed',
      'connection.opened',
      'session.allowed',
      'session.ended',
      'session.requested',
      'ticket.issued',
      'ticket.redeemed',
    ]);
  });

  test('a terminated session does not come back, however often a client tries', async () => {
    const session = await openSession(0);
    const more = await stack.call('ada', 'POST', `/api/sessions/${session.id}/tickets`, {});
    const { ticket } = ticketAnswerShape.parse(more.body);
    await stack.call('ada', 'POST', `/api/sessions/${session.id}/terminate`);

    const attempt = await presentTicket(session.endpoint, ticket, stack.caFile);
    const again = await stack.call('ada', 'POST', `/api/sessions/${session.id}/tickets`, {});

    expect(attempt).toMatchObject({ outcome: 'refused', status: 409 });
    expect(again).toMatchObject({ status: 409, body: { code: 'session-ended' } });
  });

  test('a connection is cut at the deadline of its session', async () => {
    const request = { target: briefTarget(target.port).id, protocol: 'tcp', port: target.port };
    const { body } = await stack.call('ada', 'POST', '/api/sessions', request);
    const session = sessionViewShape.parse(body);
    const socket = await openTunnel(session.endpoint, session.ticket?.ticket ?? '', stack.caFile);

    const code = await waitForClose(socket);

    expect(code).toBe(4410);
    const late = Date.now() - new Date(session.deadline).getTime();
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1000);
  });

  test('the keys of both brokers are published, each endorsed by the root', async () => {
    const answer = await fetch(`${stack.url}/.well-known/jwks.json`);
    const { keys } = z
      .object({ keys: z.array(z.object({ kid: z.string(), endorsement: z.string() })) })
      .parse(await answer.json());

    expect(keys.length).toBeGreaterThanOrEqual(2);
  });

  test('every audit chain is whole: each entry names the hash of the one before', async () => {
    const entries = await readAudit(stack.audit);
    const chains = Map.groupBy(entries, ({ chain }) => String(chain));

    for (const chain of chains.values())
      expect(chain.map(({ seq }) => seq)).toEqual(chain.map((_, i) => i + (chain[0]?.seq ?? 0)));
  });

  test('a body that is refused is refused over the wire: 411, 413, 415, and 400 with a pointer', async () => {
    const authorization = `Bearer ${await stack.getToken('ada')}`;
    const send = async (type: string, body: RequestInit['body']) =>
      fetch(`${stack.url}/api/sessions`, {
        method: 'POST',
        headers: { authorization, 'content-type': type },
        body: body ?? null,
        duplex: 'half',
      });
    const json = 'application/json';

    const chunked = await send(json, new Blob(['{}']).stream());
    const large = await send(json, JSON.stringify({ reason: 'x'.repeat(70_000) }));
    const typed = await send('text/plain', '{}');
    const faulty = await send(json, JSON.stringify({ target: 'x', protocol: 'telnet' }));

    expect([chunked, large, typed, faulty].map(({ status }) => status)).toEqual([
      411, 413, 415, 400,
    ]);
    expect(await faulty.json()).toMatchObject({ faults: [{ pointer: '/protocol' }] });
  });

  // Of a full run with real tickets, tokens and a gateway's secret.
  test('no ticket, token or secret is in any log line', () => {
    const text = stack.lines.join('\n');

    expect(stack.lines.length).toBeGreaterThan(50);
    expect(text).not.toMatch(/eyJ[\w-]+\.[\w-]+|PRIVATE KEY|"d":/);
    for (const secret of Object.values(stack.issuer.secrets)) expect(text).not.toContain(secret);
  });
});

/** A target that policy allows for three seconds. */
function briefTarget(port: number) {
  const tags = { env: 'brief' };
  return { ...testTarget('brief', port, 'tcp'), id: '7a59e700-0000-4000-8000-00000000b71e', tags };
}
