import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sessionViewShape, ticketAnswerShape } from '../../lib/session-view.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { presentTicket } from '../support/tunnel-client.ts';

// Threat 1.
describe('a ticket that comes in a URL', () => {
  let target: EchoServer;
  let stack: TestStack;
  const secrets: string[] = [];

  beforeAll(async () => {
    target = await startEchoServer();
    stack = await startTestStack({
      targets: [testTarget('echo', target.port, 'tcp')],
      gateways: 2,
    });
  });

  afterAll(async () => {
    await stack?.close();
    await target?.close();
  });

  async function openSession() {
    const { id } = testTarget('echo', target.port);
    const request = { target: id, protocol: 'tcp', port: target.port };
    const { body } = await stack.call('ada', 'POST', '/api/sessions', request);
    return sessionViewShape.parse(body);
  }

  async function createTicket(session: string, form: string): Promise<string> {
    const { body } = await stack.call('ada', 'POST', `/api/sessions/${session}/tickets`, { form });
    const { ticket } = ticketAnswerShape.parse(body);
    secrets.push(ticket);
    return ticket;
  }

  test.each([
    ['jwt', 'query', (endpoint: string, ticket: string) => `${endpoint}?ticket=${ticket}`],
    ['handle', 'query', (endpoint: string, ticket: string) => `${endpoint}?ticket=${ticket}`],
    ['jwt', 'path', (endpoint: string, ticket: string) => `${endpoint}/${ticket}`],
    ['handle', 'path', (endpoint: string, ticket: string) => `${endpoint}/${ticket}`],
  ])('is refused, recorded and dead: %s in the %s', async (form, _where, toUrl) => {
    const session = await openSession();
    const ticket = await createTicket(session.id, form);
    const [here = '', there = ''] = stack.gateways.map(
      ({ url }) => new URL('/connect', url.replace(/^http/, 'ws')).href,
    );

    const leaked = await presentTicket(toUrl(here, ticket), 'x', stack.caFile);
    const entries = await readAudit(stack.audit);
    const proper = await presentTicket(there, ticket, stack.caFile);

    expect(leaked).toMatchObject({ outcome: 'refused', status: 401 });
    expect(JSON.stringify(leaked)).toContain('ticket-leaked');
    expect(entries.filter((entry) => entry['session'] === session.id)).toContainEqual(
      expect.objectContaining({
        type: 'ticket.refused',
        code: 'ticket-leaked',
        clientIp: '127.0.0.1',
      }),
    );
    expect(proper).toMatchObject({ outcome: 'refused', status: 409 });
    expect(JSON.stringify(proper)).toContain('ticket-spent');
  });

  test('is in no log line', () => {
    const text = stack.lines.join('\n');

    expect(secrets).toHaveLength(4);
    for (const secret of secrets) expect(text).not.toContain(secret.split('.').at(-1));
  });
});
