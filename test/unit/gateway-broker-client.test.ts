import { describe, expect, test } from 'vitest';
import { createBrokerClient } from '../../gateway/broker-client.ts';
import type { Send } from '../../gateway/token-source.ts';
import type { FailureCode } from '../../lib/failure.ts';
import { BrokerError } from '../../lib/failure.ts';
import { redeemRequestShape } from '../../lib/gateway-call.ts';
import type { RedeemAnswer } from '../../lib/gateway-call.ts';
import { toProblem } from '../../lib/problem.ts';

const instance = '22222222-2222-4222-8222-222222222222';
const session = '33333333-3333-4333-8333-333333333333';

const grant: RedeemAnswer = {
  connection: '44444444-4444-4444-8444-444444444444',
  session,
  caller: 'tenant.ada',
  protocol: 'ssh',
  host: '10.0.0.4',
  port: 22,
  deadline: '2026-01-01T12:00:00Z',
  terms: {},
  leaseSeconds: 15,
  graceSeconds: 120,
};

const close = {
  instance,
  session,
  reason: 'client-closed',
  bytesUp: 1,
  bytesDown: 2,
  durationMilliseconds: 3,
} as const;

function refuse(code: FailureCode, headers: Record<string, string> = {}): Response {
  const problem = toProblem(new BrokerError(code, 'A sentence.'));
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

function setUp(...replies: readonly (() => Response)[]): {
  client: ReturnType<typeof createBrokerClient>;
  calls: { url: string; init: RequestInit }[];
  forgotten: string[];
} {
  const calls: { url: string; init: RequestInit }[] = [];
  const forgotten: string[] = [];
  const send: Send = async (url, init) => {
    calls.push({ url: url.href, init });
    const reply = replies[calls.length - 1];
    if (reply === undefined) throw new Error('an unexpected call');
    return reply();
  };
  const tokens = {
    get: async () => 'token-1',
    forget: (token: string) => void forgotten.push(token),
  };
  const base = new URL('https://broker.example/base/');
  return { client: createBrokerClient(base, instance, tokens, send), calls, forgotten };
}

const networkFails = (): Response => {
  throw new TypeError('fetch failed');
};
const granted = (): Response => Response.json(grant);
const { signal } = new AbortController();

describe('redeem', () => {
  test('names the instance, and sends the token to the broker alone', async () => {
    const { client, calls } = setUp(granted);

    expect(await client.redeem({ ticket: 'a.b.c', clientIp: '198.51.100.7' }, signal)).toEqual(
      grant,
    );
    expect(calls[0]?.url).toBe('https://broker.example/base/api/gateway/connections');
    expect(calls[0]?.init).toMatchObject({
      method: 'POST',
      redirect: 'error',
      headers: { authorization: 'Bearer token-1', 'content-type': 'application/json' },
    });
    const request: unknown = await new Response(calls[0]?.init.body).json();
    expect(redeemRequestShape.parse(request)).toMatchObject({
      ticket: 'a.b.c',
      instance,
      clientIp: '198.51.100.7',
    });
  });

  test.each([
    ['the network fails', networkFails],
    ['a proxy answers', (): Response => new Response('<html>', { status: 502 })],
    ['the answer has another shape', (): Response => Response.json({ ...grant, port: 0 })],
    ['the broker did not take the token', (): Response => refuse('token-invalid')],
  ])('tries again under the same nonce when %s', async (_name, reply) => {
    const { client, calls } = setUp(reply, granted);

    expect(await client.redeem({ ticket: 'a.b.c' }, signal)).toEqual(grant);
    expect(calls[1]?.init.body).toBe(calls[0]?.init.body);
  });

  test('fails with broker-unavailable when the second attempt fails too', async () => {
    const { client, calls } = setUp(networkFails, networkFails);

    await expect(client.redeem({ ticket: 'a.b.c' }, signal)).rejects.toMatchObject({
      code: 'broker-unavailable',
    });
    expect(calls).toHaveLength(2);
  });

  test('passes a refusal on as it is, and does not ask again', async () => {
    const { client, calls } = setUp(() => refuse('ticket-spent', { 'retry-after': '7' }));

    await expect(client.redeem({ ticket: 'a.b.c' }, signal)).rejects.toMatchObject({
      problem: { code: 'ticket-spent', status: 409 },
      retryAfterSeconds: 7,
    });
    expect(calls).toHaveLength(1);
  });

  // A newer broker must not stop an older gateway.
  test('drops a member that it does not know', async () => {
    const { client } = setUp(() => Response.json({ ...grant, extra: 1 }));

    expect(await client.redeem({ ticket: 'a.b.c' }, signal)).toEqual(grant);
  });

  test('does not take a term that it does not know', async () => {
    const reply = (): Response => Response.json({ ...grant, terms: { extra: 1 } });
    const { client } = setUp(reply, reply);

    await expect(client.redeem({ ticket: 'a.b.c' }, signal)).rejects.toMatchObject({
      code: 'broker-unavailable',
    });
  });

  // A limit that nobody counts against would be none.
  test('does not take a byte limit without what the session has carried', async () => {
    const reply = (): Response => Response.json({ ...grant, terms: { maxBytes: 5 } });
    const { client } = setUp(reply, reply);

    await expect(client.redeem({ ticket: 'a.b.c' }, signal)).rejects.toMatchObject({
      code: 'broker-unavailable',
    });
  });

  test('forgets a token that the broker did not take', async () => {
    const { client, forgotten } = setUp(() => refuse('token-invalid'), granted);
    await client.redeem({ ticket: 'a.b.c' }, signal);

    expect(forgotten).toEqual(['token-1']);
  });
});

describe('renew', () => {
  test('drops members that it does not know', async () => {
    const verdict = { connection: grant.connection, verdict: 'close', reason: 'policy' };
    const answer = { cursor: 'c', now: '2026-01-01T12:00:00Z' };
    const { client } = setUp(() =>
      Response.json({ ...answer, extra: 1, verdicts: [{ ...verdict, extra: 1 }] }),
    );

    expect(await client.renew({ connections: [] })).toEqual({
      ...answer,
      verdicts: [verdict],
      // An older broker says nothing about these.
      bytesElsewhere: [],
      probes: [],
    });
  });
});

describe('leak', () => {
  test.each<[string, () => Response, string]>([
    ['204', () => new Response(null, { status: 204 }), 'taken'],
    ['no such ticket', () => refuse('ticket-invalid'), 'refused'],
  ])('that is answered with %s', async (_name, reply, outcome) => {
    const { client } = setUp(reply);

    expect(await client.leak({ ticket: 'a.b.c' })).toBe(outcome);
  });

  // The ticket may still be good: whoever reports it must try again.
  test.each<FailureCode>(['token-invalid', 'audit-unavailable', 'gateway-unknown'])(
    'that fails with %s may be tried again',
    async (code) => {
      const { client } = setUp(() => refuse(code));

      await expect(client.leak({ ticket: 'a.b.c' })).rejects.toThrow('to a leak');
    },
  );
});

describe('probe', () => {
  test.each([200, 403, 404, 503])('that is answered with %i may be tried again', async (status) => {
    const { client } = setUp(() => new Response(null, { status }));
    const report = { session, probe: session, outcome: 'open' } as const;

    await expect(client.probe(report)).rejects.toThrow(String(status));
  });
});

describe('close', () => {
  test('that is answered with 204 is taken', async () => {
    const { client } = setUp(() => new Response(null, { status: 204 }));

    expect(await client.close(grant.connection, close)).toBe('taken');
  });

  test.each<FailureCode>(['not-found', 'request-invalid'])(
    'that the broker refuses with %s is refused',
    async (code) => {
      const { client } = setUp(() => refuse(code));

      expect(await client.close(grant.connection, close)).toBe('refused');
    },
  );

  // The Functions host answers with a bare 404 while it loads.
  test.each([400, 401, 403, 404, 429, 500, 503])(
    'that is answered with a bare %i may be tried again',
    async (status) => {
      const { client } = setUp(() => new Response(null, { status }));

      await expect(client.close(grant.connection, close)).rejects.toThrow(String(status));
    },
  );
});
