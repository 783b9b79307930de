import { describe, expect, test } from 'vitest';
import { createExchange } from '../../cli/api-call.ts';
import { findChallenge, formatClaims } from '../../cli/claims-challenge.ts';
import type { Challenge } from '../../cli/claims-challenge.ts';
import type { HttpReply, HttpRequest } from '../../cli/http.ts';
import { grantClaims } from '../../local/issuer-claims.ts';

const broker = new URL('https://broker.example/');
const wanted = { access_token: { acrs: { essential: true, value: 'c1' } } };
const encoded = Buffer.from(JSON.stringify(wanted)).toString('base64');

function challengeWith(header: string, status = 401): HttpReply {
  return { status, text: '', headers: { 'www-authenticate': header } };
}

const challenged = challengeWith(
  `Bearer realm="", error="insufficient_claims", claims="${encoded}"`,
);
const ok: HttpReply = { status: 200, text: '{}', headers: {} };

describe('findChallenge', () => {
  test('reads what a better token must hold', () => {
    expect(findChallenge(challenged, 'weak')).toEqual({ token: 'weak', claims: wanted, encoded });
  });

  test('reads it with the members that Entra has, and beside a challenge of another scheme', () => {
    const entra = `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="${encoded}"`;

    expect(findChallenge(challengeWith(entra), 'weak')?.claims).toEqual(wanted);
    expect(findChallenge(challengeWith(`Basic realm="x", ${entra}`), 'weak')?.claims).toEqual(
      wanted,
    );
  });

  test('asks the issuer for claims of the access token and for nothing else', () => {
    const more = { ...wanted, userinfo: { email: null } };
    const text = Buffer.from(JSON.stringify(more)).toString('base64');

    const challenge = findChallenge(
      challengeWith(`Bearer error="insufficient_claims", claims="${text}"`),
      'weak',
    );

    expect(challenge?.claims).toEqual(wanted);
  });

  const huge = Buffer.from(JSON.stringify({ access_token: { x: 'x'.repeat(4000) } }));
  test.each([
    ['another status', challengeWith(challenged.headers['www-authenticate'] ?? '', 403)],
    ['another error', challengeWith(`Bearer error="invalid_token", claims="${encoded}"`)],
    ['no claims', challengeWith('Bearer error="insufficient_claims"')],
    ['claims that are no JSON', challengeWith('Bearer error="insufficient_claims", claims="YWJj"')],
    [
      'claims that are no object',
      challengeWith('Bearer error="insufficient_claims", claims="MQ=="'),
    ],
    [
      'claims in another alphabet',
      challengeWith('Bearer error="insufficient_claims", claims="a b;"'),
    ],
    [
      'claims that are too long',
      challengeWith(`Bearer error="insufficient_claims", claims="${huge.toString('base64')}"`),
    ],
    ['no header', { status: 401, text: '', headers: {} }],
  ])('finds none in an answer with %s', (_case, reply) => {
    expect(findChallenge(reply, 'weak')).toBeUndefined();
  });
});

describe('formatClaims', () => {
  test('announces that challenges are answered, and keeps what is asked for', () => {
    const capability = { xms_cc: { values: ['cp1'] } };

    expect(JSON.parse(formatClaims())).toEqual({ access_token: capability });
    expect(JSON.parse(formatClaims(wanted))).toEqual({
      access_token: { ...wanted.access_token, ...capability },
    });
  });
});

describe('createExchange', () => {
  /** A broker with these answers in turn, and a person who signs in as often as asked. */
  function createBench(answers: readonly HttpReply[]) {
    const left = [...answers];
    const sent: HttpRequest[] = [];
    const challenges: Challenge[] = [];
    const exchange = createExchange(
      async (request) => {
        sent.push(request);
        return Promise.resolve(left.shift() ?? challenged);
      },
      broker,
      async (challenge) => {
        if (challenge === undefined) return Promise.resolve('weak');
        challenges.push(challenge);
        return Promise.resolve('strong');
      },
    );
    return { exchange, sent, challenges };
  }

  test('repeats the same call once with the better token', async () => {
    const { exchange, sent, challenges } = createBench([challenged, ok]);

    const reply = await exchange({ method: 'POST', path: 'api/x', body: '{"a":1}' });

    expect(reply).toBe(ok);
    expect(challenges).toMatchObject([{ token: 'weak', claims: wanted }]);
    expect(sent.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}']);
    expect(sent.map(({ headers }) => headers?.['authorization'])).toEqual([
      'Bearer weak',
      'Bearer strong',
    ]);
  });

  // A broker that is never content must not keep a person signing in.
  test('asks the person once, however often the same challenge comes', async () => {
    const { exchange, sent, challenges } = createBench([]);

    for (let call = 0; call < 5; call += 1)
      expect(await exchange({ method: 'GET', path: 'api/x' })).toBe(challenged);

    expect(challenges).toHaveLength(1);
    expect(sent).toHaveLength(6);
  });

  test('takes up a challenge again that a better token has met before', async () => {
    const { exchange, challenges } = createBench([challenged, ok, challenged, ok]);

    await exchange({ method: 'GET', path: 'api/x' });
    await exchange({ method: 'GET', path: 'api/x' });

    expect(challenges).toHaveLength(2);
  });

  test('sends no token to another host', async () => {
    const { exchange, sent } = createBench([]);

    await expect(exchange({ method: 'GET', path: 'https://thief.example/' })).rejects.toThrow(
      'another host',
    );
    expect(sent).toEqual([]);
  });
});

// The demo issuer stands for Entra here.
describe('grantClaims', () => {
  test('gives a context that a demo person satisfies, and what the client announced', () => {
    expect(grantClaims(formatClaims(wanted))).toEqual({ acrs: ['c1'], xms_cc: ['cp1'] });
    expect(grantClaims(formatClaims())).toEqual({ xms_cc: ['cp1'] });
  });

  test('gives no context that nobody satisfies, and nothing for what is no request', () => {
    const other = { access_token: { acrs: { essential: true, value: 'c2' } } };

    expect(grantClaims(JSON.stringify(other))).toEqual({});
    for (const text of [undefined, '', '{', '[]', '{"access_token":1}'])
      expect(grantClaims(text)).toEqual({});
  });
});
