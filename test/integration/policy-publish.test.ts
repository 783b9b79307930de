import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type WebSocket from 'ws';
import { explainAnswerShape } from '../../lib/explain.ts';
import { sessionViewShape, ticketAnswerShape } from '../../lib/session-view.ts';
import type { BlobPolicyStores } from '../support/blob-policy-store.ts';
import { startBlobPolicyStores } from '../support/blob-policy-store.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { PolicyStore } from '../support/policy-store.ts';
import { publish, sets, toFiles } from '../support/policy-store.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { openTunnel, presentTicket, waitForClose } from '../support/tunnel-client.ts';

const pollSeconds = 10;
const reevaluateSeconds = 30;
const leaseSeconds = 1;

const permitting = toFiles(
  readFileSync(fileURLToPath(new URL('../data/policies/test.cedar', import.meta.url)), 'utf8'),
);

describe('a policy set published to two brokers and two gateways', () => {
  let target: EchoServer;
  let stores: BlobPolicyStores;
  let store: PolicyStore;
  let stack: TestStack;
  let wish: object;

  beforeAll(async () => {
    target = await startEchoServer();
    stores = await startBlobPolicyStores();
    const opened = await stores.open();
    store = opened;
    await publish(store, permitting, { publishedBy: 'the suite' });
    const echo = testTarget('echo', target.port, 'tcp');
    wish = { target: echo.id, protocol: 'tcp', port: target.port, durationSeconds: 600 };
    stack = await startTestStack({
      targets: [echo],
      brokers: 2,
      gateways: 2,
      brokerSettings: {
        SALLYPORT_LEASE_SECONDS: String(leaseSeconds),
        SALLYPORT_POLICIES: '',
        SALLYPORT_POLICIES_URL: opened.url.href,
      },
    });
  });

  afterAll(async () => {
    await stack?.close();
    await stores?.close();
    await target?.close();
  });

  /** Asks each broker what it decides, and by which set. */
  async function askAll(urls = stack.brokers.map(({ url }) => url)) {
    return Promise.all(
      urls.map(async (url) => {
        const { status, body } = await stack.call('ada', 'POST', `${url}/api/policy/explain`, wish);
        if (status !== 200) throw new Error(JSON.stringify(body));
        const { digest, outcome } = explainAnswerShape.parse(body);
        return `${outcome} ${digest}`;
      }),
    );
  }

  /** Returns after how many seconds all brokers have decided by a set. */
  async function waitForAll(outcome: string, digest: string): Promise<number> {
    const start = performance.now();
    const decided = `${outcome} ${digest}`;
    await expect
      .poll(async () => askAll(), { timeout: 20_000, interval: 100 })
      .toEqual([decided, decided]);
    return (performance.now() - start) / 1000;
  }

  /** Asks until each broker has written one more line about an event. */
  async function waitForLines(event: string, damage: () => Promise<unknown>) {
    const count = () => stack.lines.filter((line) => line.includes(`"${event}"`)).length;
    const before = count();
    await damage();
    await expect
      .poll(async () => (await askAll()) && count(), { timeout: 20_000, interval: 100 })
      .toBe(before + stack.brokers.length);
  }

  async function countEntries(type: string, digest: string): Promise<number> {
    const entries = await readAudit(stack.audit);
    return entries.filter((entry) => entry.type === type && entry['digest'] === digest).length;
  }

  // Threat 19.
  test('is what every broker decides by within the poll time, old tickets included', async () => {
    const second = await publish(store, sets.open);
    const took = await waitForAll('allow', second);
    const { body } = await stack.call('ada', 'POST', '/api/sessions', wish);
    const { endpoint, ticket } = sessionViewShape.parse(body);
    const third = await publish(store, sets.shut, { note: 'CHG1' });
    const tookAgain = await waitForAll('deny', third);
    const attempt = await presentTicket(endpoint ?? '', ticket?.ticket ?? '', stack.caFile);
    const first = await publish(store, permitting);
    await waitForAll('allow', first);

    console.info(`in force at both brokers after ${took.toFixed(1)} and ${tookAgain.toFixed(1)} s`);
    expect(attempt).toMatchObject({ outcome: 'refused' });
    // A set is checked before it is taken.
    expect(Math.max(took, tookAgain)).toBeLessThan(pollSeconds + 3);
    // Each broker may have recorded it, where both came to it in the same moment.
    expect([1, 2]).toContain(await countEntries('policy.published', third));
    const entries = await readAudit(stack.audit);
    expect(entries).toContainEqual(
      expect.objectContaining({ digest: third, previous: second, note: 'CHG1' }),
    );
  }, 90_000);

  test('is not taken when it is hostile, and the brokers go on', async () => {
    const [before] = await askAll();
    let digest = '';
    await waitForLines('policy.rejected', async () => {
      digest = await publish(store, sets.hostile);
    });

    expect(await askAll()).toEqual([before, before]);
    expect([1, 2]).toContain(await countEntries('policy.rejected', digest));
    // A broker that starts now decides as the others do.
    const late = await stack.startBroker();
    expect(await askAll([late.url])).toEqual([before]);
    await late.stop();
  }, 90_000);

  test('stays in force when the pointer has gone, but is nothing to start with', async () => {
    const [before] = await askAll();
    await waitForLines('policy.unconfirmed', async () => store.remove('current'));

    expect(await askAll()).toEqual([before, before]);
    const blind = await stack.startBroker();
    const decided = await stack.call('ada', 'POST', `${blind.url}/api/sessions`, wish);
    const ready = await stack.call('ada', 'GET', `${blind.url}/api/health/ready`);
    const locks = await stack.call('grace', 'GET', `${blind.url}/api/locks`);
    expect(decided).toMatchObject({ status: 503, body: { code: 'policy-unavailable' } });
    expect(ready).toMatchObject({ status: 503, body: { checks: { policy: 'unhealthy' } } });
    expect(locks.status).toBe(200);
    await blind.stop();
  }, 90_000);

  // Threat 19.
  test('cuts what it no longer permits, on both gateways', async () => {
    const { body } = await stack.call('ada', 'POST', '/api/sessions', wish);
    const session = sessionViewShape.parse(body);
    const sockets = await Promise.all(
      stack.gateways.map(async ({ url }) => openTunnel(url, await getTicket(), stack.caFile)),
    );
    const spare = await getTicket();
    const closes = sockets.map(async (socket: WebSocket) => waitForClose(socket));

    const publishedAt = performance.now();
    const digest = await publish(store, sets.shut);
    const codes = await Promise.all(closes);
    const tookSeconds = (performance.now() - publishedAt) / 1000;
    const retries = await Promise.all(
      stack.gateways.map(async ({ url }) => presentTicket(url, spare, stack.caFile)),
    );

    console.info(`cut on both gateways ${tookSeconds.toFixed(1)} s after the publication`);
    expect(codes).toEqual([4403, 4403]);
    expect(tookSeconds).toBeLessThan(pollSeconds + reevaluateSeconds + leaseSeconds + 2);
    for (const retry of retries) expect(retry).toMatchObject({ outcome: 'refused' });
    const entries = (await readAudit(stack.audit)).filter(
      (entry) => entry['session'] === session.id,
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ type: 'session.denied', digest, policies: ['shut'] }),
    );
    expect(entries).toContainEqual(
      expect.objectContaining({ type: 'session.ended', endReason: 'policy' }),
    );

    async function getTicket(): Promise<string> {
      const path = `/api/sessions/${session.id}/tickets`;
      const { body: answer } = await stack.call('ada', 'POST', path, {});
      const { ticket } = ticketAnswerShape.parse(answer);
      return ticket;
    }
  }, 90_000);
});
