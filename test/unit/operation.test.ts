import { createHttpPoller } from '@azure/core-lro';
import type { OperationResponse } from '@azure/core-lro';
import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { sessionViewShape } from '../../lib/session-view.ts';
import { approver, decide, startApproving } from '../support/approvals.ts';
import { call } from '../support/call.ts';
import type { Path, Received } from '../support/call.ts';
import { sessionId, ssh } from '../support/sessions.ts';
import { eve } from '../support/test-broker.ts';

const grace = approver('grace');
const params = { id: sessionId };

function toResponse(method: string, url: string, received: Received): OperationResponse {
  const { status: statusCode, headers, body } = received;
  const request = { method, url };
  // The poller waits as long as it is told to, and a unit test does not.
  const plain = Object.fromEntries([...headers].filter(([name]) => name !== 'retry-after'));
  return { flatResponse: body, rawResponse: { statusCode, headers: plain, body, request } };
}

/** Follows a request as the Azure SDKs do, with their own code, and decides it after the first look. */
function follow(broker: Broker, method: 'PUT' | 'POST', path: Path, decision: 'approve' | 'deny') {
  const urls: string[] = [];
  const poller = createHttpPoller(
    {
      sendInitialRequest: async () =>
        toResponse(
          method,
          path,
          await call(broker, method, path, { token: 'ada', params, body: toBody(path) }),
        ),
      sendPollRequest: async (url) => {
        const { pathname } = new URL(url, broker.url);
        urls.push(pathname);
        if (urls.length === 2) await decideNow(broker, decision);
        const id = pathname.split('/').at(-1) ?? '';
        const read = pathname.startsWith('/api/operations')
          ? '/api/operations/{id}'
          : '/api/sessions/{id}';
        return toResponse(
          'GET',
          url,
          await call(broker, 'GET', read, { token: 'ada', params: { id } }),
        );
      },
    },
    { intervalInMs: 1 },
  );
  return { poller, urls };
}

function toBody(path: Path): unknown {
  return path.endsWith('extend') ? { durationSeconds: 7200 } : ssh;
}

async function decideNow(broker: Broker, decision: 'approve' | 'deny'): Promise<void> {
  const { body } = await call(broker, 'GET', '/api/sessions/{id}', { token: 'ada', params });
  await decide(broker, grace, sessionViewShape.parse(body), { decision });
}

describe('the status monitor', () => {
  test('is followed by @azure/core-lro to the session that was approved', async () => {
    const { broker } = startApproving();
    const { poller, urls } = follow(broker, 'PUT', '/api/sessions/{id}', 'approve');

    const result = await poller.pollUntilDone();

    expect(result).toMatchObject({ id: sessionId, state: 'ready' });
    expect(urls[0]).toBe(`/api/operations/${sessionId}`);
  });

  test('lets @azure/core-lro fail with the reason of a request that was denied', async () => {
    const { broker } = startApproving();
    const { poller } = follow(broker, 'PUT', '/api/sessions/{id}', 'deny');

    await expect(poller.pollUntilDone()).rejects.toThrow('An approver has denied the request.');
  });

  test('is followed by @azure/core-lro to the session that was extended', async () => {
    const { broker } = startApproving();
    const asked = await call(broker, 'PUT', '/api/sessions/{id}', {
      token: 'ada',
      params,
      body: ssh,
    });
    await decide(broker, grace, sessionViewShape.parse(asked.body));
    const { poller } = follow(broker, 'POST', '/api/sessions/{id}/extend', 'approve');

    expect(await poller.pollUntilDone()).toMatchObject({ deadline: '2026-03-02T14:00:00.000Z' });
  });

  test('answers with 200 and Retry-After while the session waits, and without it afterwards', async () => {
    const { broker } = startApproving();
    const asked = await call(broker, 'PUT', '/api/sessions/{id}', {
      token: 'ada',
      params,
      body: ssh,
    });
    const read = async () => call(broker, 'GET', '/api/operations/{id}', { token: 'ada', params });

    const waiting = await read();
    await decideNow(broker, 'approve');
    const done = await read();

    expect(asked.status).toBe(201);
    expect(asked.headers.get('operation-location')).toBe(
      `https://broker.test/api/operations/${sessionId}`,
    );
    expect(waiting.headers.get('retry-after')).toBe('5');
    expect(waiting.body).toMatchObject({ status: 'Running', progress: 'approval' });
    expect(done.headers.get('retry-after')).toBeNull();
    expect(done.body).toMatchObject({ status: 'Succeeded' });
  });

  test.each([
    ['somebody else', 'eve', sessionId],
    ['an id that is not known', 'ada', '5e551000-0000-4000-8000-00000000000f'],
    ['an extension that nobody asked for', 'ada', `${sessionId}.extension`],
  ])('404 for %s', async (_what, token, id) => {
    const { broker } = startApproving();
    await call(broker, 'PUT', '/api/sessions/{id}', { token: 'ada', params, body: ssh });

    const { status } = await call(broker, 'GET', '/api/operations/{id}', { token, params: { id } });

    expect(status).toBe(404);
  });
});

describe('POST /api/sessions/{id}/approval', () => {
  async function startAsking() {
    const { broker } = startApproving();
    const people = [grace, { ...eve, roles: ['Approval.Decide' as const] }];
    const identify: Broker['identify'] = async (token) =>
      people.find(({ name }) => name === token) ?? broker.identify(token);
    const asking = { ...broker, identify };
    const { body } = await call(asking, 'PUT', '/api/sessions/{id}', {
      token: 'ada',
      params,
      body: ssh,
    });
    const etag = sessionViewShape.parse(body).approval?.etag ?? '';
    const post = async (token: string, sent: unknown, headers: Readonly<Record<string, string>>) =>
      call(asking, 'POST', '/api/sessions/{id}/approval', { token, params, body: sent, headers });
    return { broker: asking, etag, post };
  }

  const approve = { decision: 'approve' };

  test('200 with the session', async () => {
    const { broker, etag, post } = await startAsking();
    const listed = await call(broker, 'GET', '/api/approvals', { token: 'grace' });
    const { status, body } = await post('grace', approve, { 'if-match': etag });

    expect(listed.body).toMatchObject({ value: [{ id: sessionId, etag }] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ state: 'ready' });
  });

  test.each([
    [400, 'a decision that is none', 'grace', { decision: 'maybe' }, 'match'],
    [400, 'a note with a line break', 'grace', { ...approve, note: 'a\nb' }, 'match'],
    [404, 'who is not asked', 'eve', approve, 'match'],
    [412, 'another request', 'grace', approve, '"another"'],
    [428, 'no If-Match', 'grace', approve, ''],
  ])('%i for %s', async (expected, _what, token, sent, match) => {
    const { etag, post } = await startAsking();
    const headers = match === '' ? {} : { 'if-match': match === 'match' ? etag : match };

    expect((await post(token, sent, headers)).status).toBe(expected);
  });

  test('403 for who has not the role, and 409 once it is decided', async () => {
    const { etag, post } = await startAsking();
    expect((await post('ada', approve, { 'if-match': etag })).status).toBe(403);
    await post('grace', { decision: 'deny' }, { 'if-match': etag });

    expect((await post('grace', approve, { 'if-match': etag })).status).toBe(409);
  });

  // A link that a chat program fetches beforehand must not decide anything (threat 18).
  test('405 for GET, which changes nothing', async () => {
    const { broker } = await startAsking();
    const { status } = await call(broker, 'GET', '/api/sessions/{id}/approval', {
      token: 'grace',
      params,
    });
    const { body } = await call(broker, 'GET', '/api/sessions/{id}', { token: 'ada', params });

    expect(status).toBe(405);
    expect(body).toMatchObject({ state: 'pendingApproval' });
  });
});
