import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Send } from '../../gateway/token-source.ts';
import { createTokenSource } from '../../gateway/token-source.ts';

const managed = {
  kind: 'managed',
  endpoint: new URL('http://169.254.129.2:4141/token'),
  header: 'header-secret',
  resource: 'api://broker',
} as const;

const noon = new Date('2026-01-01T12:00:00Z');
const { signal } = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** An endpoint that gives `token-1`, `token-2`, … for an hour each, until it is broken. */
function tokenEndpoint(): {
  send: Send;
  calls: { url: string; init: RequestInit }[];
  broken: boolean;
} {
  const endpoint = {
    calls: [] as { url: string; init: RequestInit }[],
    broken: false,
    send: async (url: URL, init: RequestInit) => {
      endpoint.calls.push({ url: url.href, init });
      if (endpoint.broken) return new Response('{"access_token":"leaked",', { status: 200 });
      const expires_on = String(Math.floor(Date.now() / 1000) + 3600);
      return Response.json({ access_token: `token-${endpoint.calls.length}`, expires_on });
    },
  };
  return endpoint;
}

async function settle(): Promise<void> {
  await new Promise(setImmediate);
}

function pass(minutes: number): void {
  vi.setSystemTime(Date.now() + minutes * 60_000);
}

describe('createTokenSource', () => {
  test('asks the managed identity as the platform wants it', async () => {
    const endpoint = tokenEndpoint();
    await createTokenSource(managed, endpoint.send).get(signal);

    expect(endpoint.calls).toMatchObject([
      {
        url: 'http://169.254.129.2:4141/token?resource=api%3A%2F%2Fbroker&api-version=2019-08-01',
        init: { headers: { 'x-identity-header': 'header-secret' }, redirect: 'error' },
      },
    ]);
  });

  test('keeps a token for four fifths of its life', async () => {
    const endpoint = tokenEndpoint();
    const tokens = createTokenSource(managed, endpoint.send);
    await tokens.get(signal);
    pass(47);
    expect(await tokens.get(signal)).toBe('token-1');
    pass(2);
    expect(await tokens.get(signal)).toBe('token-1');
    await settle();

    expect(await tokens.get(signal)).toBe('token-2');
    expect(endpoint.calls).toHaveLength(2);
  });

  // With each lease waiting for the issuer, every connection would lose its lease to an issuer that hangs.
  test('does not wait for an issuer that hangs while the old token is good', async () => {
    const endpoint = tokenEndpoint();
    let isHanging = false;
    const tokens = createTokenSource(managed, async (url, init) =>
      isHanging ? new Promise(() => {}) : endpoint.send(url, init),
    );
    await tokens.get(signal);
    isHanging = true;
    pass(50);
    const token = await Promise.race([tokens.get(signal), settle()]);

    expect(token).toBe('token-1');
  });

  test('asks once for all who wait', async () => {
    const endpoint = tokenEndpoint();
    const tokens = createTokenSource(managed, endpoint.send);
    const all = await Promise.all([1, 2, 3].map(async () => tokens.get(signal)));

    expect(all).toEqual(['token-1', 'token-1', 'token-1']);
    expect(endpoint.calls).toHaveLength(1);
  });

  test('uses the old token while the issuer is away, until it expires', async () => {
    const endpoint = tokenEndpoint();
    const tokens = createTokenSource(managed, endpoint.send);
    await tokens.get(signal);
    endpoint.broken = true;
    pass(50);
    expect(await tokens.get(signal)).toBe('token-1');
    pass(11);

    await expect(tokens.get(signal)).rejects.toThrow('the token endpoint did not answer in JSON');
  });

  test('asks again for a token that was forgotten', async () => {
    const endpoint = tokenEndpoint();
    const tokens = createTokenSource(managed, endpoint.send);
    tokens.forget(await tokens.get(signal));

    expect(await tokens.get(signal)).toBe('token-2');
  });

  test('stops waiting when the caller does', async () => {
    const tokens = createTokenSource(managed, async () => new Promise(() => {}));
    const caller = new AbortController();
    const waiting = tokens.get(caller.signal);
    caller.abort();

    await expect(waiting).rejects.toThrow('did not answer in time');
  });
});
