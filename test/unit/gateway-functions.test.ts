import { describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { instance, nonce, openSession, sessionId } from '../support/sessions.ts';
import { memoryAudit, testBroker, testPolicy } from '../support/test-broker.ts';

collectLogLines();

describe('the resources of gateways', () => {
  test('the gateway’s calls: 201, 200 and 204', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ audit });
    const { ticket } = await openSession(broker);
    const token = 'gateway';

    const opened = await call(broker, 'POST', '/api/gateway/connections', {
      token,
      body: { ticket: ticket.ticket, instance, nonce },
    });
    const bytes = { bytesUp: 1, bytesDown: 2 };
    const connections = [{ connection: nonce, session: sessionId, ...bytes }];
    const renewed = await call(broker, 'POST', '/api/gateway/leases', {
      token,
      body: { instance, connections },
    });
    const closed = await call(broker, 'POST', '/api/gateway/connections/{id}/close', {
      token,
      params: { id: nonce },
      body: {
        instance,
        session: sessionId,
        reason: 'client-closed',
        durationMilliseconds: 5,
        ...bytes,
      },
    });

    expect([opened.status, renewed.status, closed.status]).toEqual([201, 200, 204]);
    expect(audit.entries.at(-1)).toMatchObject({ type: 'connection.closed', ...bytes });
  });

  test('201 for the longest ticket that policy can make', async () => {
    const networks = Array.from(
      { length: 50 },
      (_, i) => `2001:db8:1111:2222:3333:4444:5555:${String(1000 + i)}/128`,
    );
    const long = '\u5b57'.repeat(200);
    const terms = {
      sourceNetworks: ['198.51.100.0/24', ...networks],
      reasonPattern: long,
      changePattern: long,
    };
    const broker = testBroker({ policy: testPolicy(terms) });
    const { ticket } = await openSession(broker);

    const { status } = await call(broker, 'POST', '/api/gateway/connections', {
      token: 'gateway',
      body: { ticket: ticket.ticket, instance, nonce, clientIp: '198.51.100.7' },
    });

    expect(ticket.ticket.length).toBeGreaterThan(6000);
    expect(status).toBe(201);
  });

  test('POST /api/gateway/probes: 204, also for a probe that nobody ordered', async () => {
    const body = { instance, session: sessionId, probe: nonce, outcome: 'open' };

    const answer = await call(testBroker(), 'POST', '/api/gateway/probes', {
      token: 'gateway',
      body,
    });

    expect(answer).toMatchObject({ status: 204, body: undefined });
  });

  test('POST /api/gateway/leaks: 204 for a ticket of ours, 401 for anything else', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    const report = async (secret: string) =>
      call(broker, 'POST', '/api/gateway/leaks', {
        token: 'gateway',
        body: { instance, ticket: secret },
      });

    expect(await report(ticket.ticket)).toMatchObject({ status: 204, body: undefined });
    expect(await report('x'.repeat(43))).toMatchObject({
      status: 401,
      body: { code: 'ticket-invalid' },
    });
  });

  test.each(['/api/gateway/connections', '/api/gateway/leases'] as const)(
    '%s: 403 for a caller that is no gateway',
    async (path) => {
      const body =
        path === '/api/gateway/leases'
          ? { instance, connections: [] }
          : { ticket: 'x', instance, nonce };

      const answer = await call(testBroker(), 'POST', path, { token: 'ada', body });

      expect(answer).toMatchObject({ status: 403, body: { code: 'role-missing' } });
    },
  );
});
