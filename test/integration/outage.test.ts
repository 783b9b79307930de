import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTables } from '../../local/azurite.ts';
import { startIssuer } from '../../local/issuer.ts';
import { sessionViewShape } from '../../lib/session-view.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { openTunnel } from '../support/tunnel-client.ts';

// Fail closed, say so clearly, and need no restart.
describe('when what the broker leans on is down', () => {
  let target: EchoServer;
  let stack: TestStack;

  beforeAll(async () => {
    target = await startEchoServer();
    stack = await startTestStack({ targets: [testTarget('echo', target.port, 'tcp')] });
  });

  afterAll(async () => {
    await stack?.close();
    await target?.close();
  });

  const ask = async () => {
    const { id } = testTarget('echo', target.port);
    const request = { target: id, protocol: 'tcp', port: target.port };
    return stack.call('ada', 'POST', '/api/sessions', request);
  };

  test('without its issuer a broker that has no keys yet answers 503, and recovers', async () => {
    const { port } = new URL(stack.issuer.url);
    const token = await stack.getToken('ada');
    const whoami = async (): Promise<Response> =>
      fetch(`${stack.url}/api/whoami`, { headers: { authorization: `Bearer ${token}` } });
    await stack.issuer.close();

    const down = await whoami();
    const issuer = await startIssuer({ folder: `${stack.folder}/issuer`, port: Number(port) });

    expect(down.status).toBe(503);
    expect(await down.json()).toMatchObject({ code: 'issuer-unavailable' });
    await expect
      .poll(async () => (await whoami()).status, { timeout: 45_000, interval: 500 })
      .toBe(200);
    await issuer.close();
    await startIssuer({ folder: `${stack.folder}/issuer`, port: Number(port) });
  });

  test('without tables no ticket leaves, nothing is lost, and the next request is served', async () => {
    const before = sessionViewShape.parse((await ask()).body);
    const { port } = new URL(stack.tables.url);
    await stack.tables.close();

    const down = await ask();
    const ready = await fetch(`${stack.url}/api/health/ready`);
    const tables = await startTables({ folder: `${stack.folder}/tables`, port: Number(port) });
    const after = await ask();

    expect(down.status).toBe(503);
    expect(JSON.stringify(down.body)).toMatch(/"code":"(state|audit)-unavailable"/);
    expect(JSON.stringify(down.body)).not.toContain('eyJ');
    expect(ready.status).toBe(503);
    expect(after.status).toBe(201);
    const session = sessionViewShape.parse(after.body);
    const socket = await openTunnel(session.endpoint, session.ticket?.ticket ?? '', stack.caFile);
    socket.terminate();
    const issued = (await readAudit(stack.audit)).filter(({ type }) => type === 'ticket.issued');
    expect(issued.map((entry) => entry['session'])).toEqual(
      expect.arrayContaining([before.id, session.id]),
    );
    await tables.close();
  });
});
