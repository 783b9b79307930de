import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sessionViewShape } from '../../lib/session-view.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { startTestStack, testTarget } from '../support/test-stack.ts';
import type { Receipt, WebhookReceiver } from '../support/webhook-receiver.ts';
import { startWebhookReceiver } from '../support/webhook-receiver.ts';

const secrets = [randomBytes(32), randomBytes(32)].map(
  (bytes) => `whsec_${bytes.toString('base64')}`,
);

// The timer runs every 15 s; a receiver that hangs holds a run for ten, and a process that died for a minute.
const patience = { timeout: 150_000, interval: 250 };

describe('a webhook of running brokers', () => {
  let target: EchoServer;
  let receiver: WebhookReceiver;
  let stack: TestStack;
  /** The id of the notice that the receiver has trouble with. */
  let troubled: unknown;

  beforeAll(async () => {
    target = await startEchoServer();
    receiver = await startWebhookReceiver(answer);
    const hook = { name: 'test', url: receiver.url, secrets };
    stack = await startTestStack({
      targets: [testTarget('echo', target.port, 'tcp')],
      brokers: 2,
      brokerSettings: { SALLYPORT_WEBHOOKS: JSON.stringify([hook]) },
    });
    // Receivers are told of what happens after the first run; just after it, the next one is far.
    await vi.waitFor(
      async () =>
        expect(await stack.state.find('notices', 'turn')).toMatchObject({ values: { until: 0 } }),
      patience,
    );
  }, 120_000);

  afterAll(async () => {
    await receiver?.close();
    await stack?.close();
    await target?.close();
  });

  // A 500, then no answer at all, then what it should be.
  function answer({ event }: Receipt, response: ServerResponse): void {
    troubled ??= event['id'];
    const attempts = findReceipts({ id: troubled }).length;
    if (event['id'] !== troubled || attempts === 3) response.writeHead(204).end();
    else if (attempts === 1) response.writeHead(500).end('trouble');
  }

  function findReceipts(facts: Readonly<Record<string, unknown>>): readonly Receipt[] {
    return receiver.receipts.filter(({ event }) =>
      Object.entries(facts).every(([name, value]) => event[name] === value),
    );
  }

  async function waitForReceipts(facts: Readonly<Record<string, unknown>>, count = 1) {
    await vi.waitFor(
      () => expect(findReceipts(facts).length).toBeGreaterThanOrEqual(count),
      patience,
    );
    return findReceipts(facts);
  }

  async function openSession() {
    const { id } = testTarget('echo', target.port);
    const request = { target: id, protocol: 'tcp', port: target.port, reason: 'INC-1' };
    const { body } = await stack.call('ada', 'POST', '/api/sessions', request);
    return sessionViewShape.parse(body);
  }

  test('gets the notice of a session whose broker was killed before it told anybody', async () => {
    const session = await openSession();
    await Promise.all(stack.brokers.map(async ({ kill }) => kill()));
    expect(receiver.receipts).toEqual([]);
    await stack.startBroker(Number(new URL(stack.url).port));
    await stack.startBroker();

    const [receipt] = await waitForReceipts({ subject: session.id });

    expect(receipt?.event).toMatchObject({ type: 'sallyport.session.started' });
  }, 200_000);

  test('gets each notice, signed, through a 500 and a hang', async () => {
    const session = await openSession();
    const lock = randomUUID();
    const order = { kind: 'caller', value: 'nobody', message: 'Under review.' };
    await stack.call('grace', 'PUT', `/api/locks/${lock}`, order);
    await stack.call('grace', 'DELETE', `/api/locks/${lock}`);
    await stack.call('ada', 'POST', `/api/sessions/${session.id}/terminate`);

    const [started] = await waitForReceipts({
      type: 'sallyport.session.started',
      subject: session.id,
    });
    await waitForReceipts({ type: 'sallyport.session.ended', subject: session.id });
    await waitForReceipts({ type: 'sallyport.lock.set', subject: lock });
    await waitForReceipts({ type: 'sallyport.lock.lifted', subject: lock });
    const attempts = await waitForReceipts({ id: troubled }, 3);

    expect(started?.event).toMatchObject({
      specversion: '1.0',
      source: stack.url,
      subject: session.id,
      data: {
        session: { target: { name: 'echo' }, port: target.port, reason: 'INC-1' },
        deadline: session.deadline,
      },
    });
    expect(new Set(attempts.map(({ body }) => body)).size).toBe(1);
    expect(new Set(attempts.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(3);
    for (const receipt of receiver.receipts) {
      expect(receipt.headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
      expect(receipt.headers['webhook-id']).toBe(receipt.event['id']);
      for (const secret of secrets) expect(isSignedWith(secret, receipt)).toBe(true);
      expect(isSignedWith(`whsec_${randomBytes(32).toString('base64')}`, receipt)).toBe(false);
    }
    // Two brokers ran all the time, and only what was not accepted came again.
    const ids = receiver.receipts.map(({ event }) => event['id']);
    expect(ids.length - new Set(ids).size).toBe(2);
  }, 200_000);

  test('writes no secret, signature or URL into any log line', () => {
    const lines = stack.lines.join('\n');

    expect(lines).toContain('notices.delivered');
    expect(lines).toContain('notice.failed');
    for (const secret of secrets) expect(lines).not.toContain(secret.slice(6));
    expect(lines).not.toContain('url-key');
    for (const { headers } of receiver.receipts)
      for (const signature of headers['webhook-signature']?.split(' ') ?? [])
        expect(lines).not.toContain(signature.slice(3));
  });
});

/** Whether one of the signatures is right, by the text of the specification. */
function isSignedWith(secret: string, { headers, body }: Receipt): boolean {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const time = headers['webhook-timestamp'] ?? '';
  if (!(Math.abs(Date.now() / 1000 - Number(time)) < 300)) return false;
  const content = Buffer.from([headers['webhook-id'], time, body].join('.'));
  const expected = createHmac('sha256', key).update(content).digest();
  return (headers['webhook-signature'] ?? '').split(' ').some((signature) => {
    const [version, text] = signature.split(',');
    const given = Buffer.from(text ?? '', 'base64');
    return version === 'v1' && given.length === 32 && timingSafeEqual(given, expected);
  });
}
