import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { FindIssuerKey } from '../../lib/issuer-keys.ts';
import { createIssuerKeys } from '../../lib/issuer-keys.ts';
import {
  TestIssuer,
  createTestIdentify,
  createTokenKey,
  entraClaims,
  entraIssuers,
  entraUrl,
  noon,
  signToken,
  tenant,
} from '../support/token-factory.ts';

const first = createTokenKey();
const second = createTokenKey();
const rsa = createTokenKey('RS256');

const usable = { ...rsa.jwk, kid: 'key' };

const hour = 3600;

describe('createIssuerKeys', () => {
  test('reads once for many who ask at the same time', async () => {
    const { find, issuer } = start();

    const found = await Promise.all(Array.from({ length: 50 }, () => find(first.kid)));

    expect(found.every((key) => key?.algorithm === 'ES256')).toBe(true);
    expect(issuer.reads).toBe(1);
  });

  test('reads once although the answer takes longer than the pause between two tries', async () => {
    const { find, issuer, turn } = start();
    const { promise, resolve } = Promise.withResolvers<void>();
    issuer.held = promise;

    const early = find(first.kid);
    turn(60);
    const late = find(first.kid);
    resolve();

    expect(await Promise.all([early, late])).not.toContain(undefined);
    expect(issuer.reads).toBe(1);
  });

  test('loses no token and reads once when the issuer rotates under load', async () => {
    const issuer = new TestIssuer(entraUrl, [first.jwk]);
    const clock = { now: noon };
    const identify = createTestIdentify(entraIssuers, issuer.fetchJson, clock);
    const [before, after] = await Promise.all(
      [first, second].map((key) => signToken(key, entraClaims['v2-user'])),
    );
    await identify(before ?? '');
    clock.now = new Date(noon.getTime() + 31_000);
    issuer.keys = [first.jwk, second.jwk];

    const mixed = Array.from({ length: 200 }, (_, n) => identify((n % 2 ? before : after) ?? ''));

    expect((await Promise.allSettled(mixed)).filter(({ status }) => status === 'rejected')).toEqual(
      [],
    );
    expect(issuer.reads).toBe(2);
  });

  test('reads at most once for a flood of key ids that nobody has', async () => {
    const { find, issuer, turn } = start();
    await find(first.kid);
    turn(31);

    await Promise.all(Array.from({ length: 500 }, (_, n) => find(`together-${n}`)));
    for (let n = 0; n < 500; n += 1) await find(`one-by-one-${n}`);

    expect(issuer.reads).toBe(2);
  });

  test('reads again for an unknown key id once 30 s have passed', async () => {
    const { find, issuer, turn } = start();
    await find(first.kid);
    issuer.keys = [second.jwk];

    turn(29);
    expect(await find(second.kid)).toBeUndefined();
    turn(1);
    expect(await find(second.kid)).toBeDefined();
  });

  test('forgets a key that the issuer withdrew', async () => {
    const { find, issuer, turn } = start();
    await find(first.kid);
    issuer.keys = [second.jwk];
    turn(30);
    await find(second.kid);

    expect(await find(first.kid)).toBeUndefined();
  });

  test('reads daily, and keeps nobody waiting for it', async () => {
    const { find, issuer, turn, read } = start();
    await find(first.kid);
    issuer.keys = [second.jwk];
    turn(24 * hour + 1);
    const reading = read();

    expect(await find(first.kid)).toBeDefined();
    await reading;
    expect(await find(first.kid)).toBeUndefined();
    expect(issuer.reads).toBe(2);
  });

  test('serves the last good keys for two days of an outage, then none, then recovers', async () => {
    const { find, issuer, turn } = start();
    await find(first.kid);
    issuer.outage = new Error('the network is down');

    turn(48 * hour);
    expect(await find(first.kid)).toBeDefined();
    turn(1);
    await expect(find(first.kid)).rejects.toMatchObject({ code: 'issuer-unavailable' });
    issuer.outage = undefined;
    turn(30);
    expect(await find(first.kid)).toBeDefined();
  });

  test('keeps the last good keys when the issuer publishes none', async () => {
    const { find, issuer, turn } = start();
    await find(first.kid);
    issuer.keys = [];
    turn(31);

    expect(await find('unknown')).toBeUndefined();
    expect(await find(first.kid)).toBeDefined();
  });

  test('recovers from an outage at the start within 5 s, and says so', async () => {
    const { find, issuer, turn } = start();
    issuer.outage = new Error('the network is down');

    await expect(find(first.kid)).rejects.toMatchObject({ details: { retryAfterSeconds: 5 } });
    issuer.outage = undefined;
    turn(3);
    await expect(find(first.kid)).rejects.toMatchObject({ details: { retryAfterSeconds: 2 } });
    expect(issuer.fetched).toHaveLength(1);
    turn(2);
    expect(await find(first.kid)).toBeDefined();
  });

  test('reads again although the clock was set back', async () => {
    const { find, issuer, turn } = start();
    await find(first.kid);
    issuer.keys = [second.jwk];
    turn(-7 * 24 * hour);

    expect(await find(second.kid)).toBeDefined();
  });

  test('tells the operator which keys it read, and why it could not', async () => {
    const { find, issuer, turn, lines } = start();
    await find(first.kid);
    issuer.outage = new Error('fetch failed', { cause: new Error('no route') });
    turn(30);
    await find('unknown');

    expect(lines).toEqual([
      ['issuer.keys-read', { issuer: entraUrl, kids: [first.kid] }],
      ['issuer.keys-failed', { issuer: entraUrl, cause: 'fetch failed: Error: no route' }],
    ]);
  });
});

describe('the keys of an issuer', () => {
  test.each([
    ['RSA', rsa.jwk, 'RS256'],
    ['EC', first.jwk, 'ES256'],
    ['no use', { ...rsa.jwk, use: undefined }, 'RS256'],
    ['an alg', { ...rsa.jwk, alg: 'RS256' }, 'RS256'],
    ['a certificate, which is not looked at', { ...rsa.jwk, x5c: ['no certificate'] }, 'RS256'],
    ['the issuer', { ...rsa.jwk, issuer: entraUrl }, 'RS256'],
    ['every tenant', { ...rsa.jwk, issuer: entraUrl.replace(tenant, '{tenantid}') }, 'RS256'],
  ])('are trusted with %s', async (_what, jwk, algorithm) => {
    expect(await start([{ ...jwk, kid: 'key' }]).find('key')).toMatchObject({ algorithm });
  });

  test.each([
    ['another use', { ...usable, use: 'enc' }],
    ['another alg', { ...usable, alg: 'RS512' }],
    ['a private half', { ...usable, ...rsa.privateKey.export({ format: 'jwk' }) }],
    ['one private member', { ...usable, dp: 'AQAB' }],
    ['fewer than 2048 bits', createWeakKey()],
    ['another curve', createKeyOfOtherCurve()],
    ['a point that is not on the curve', { ...first.jwk, kid: 'key', x: first.jwk['y'] }],
    ['a secret', { kty: 'oct', kid: 'key', k: 'c2VjcmV0' }],
    ['the issuer of another tenant', { ...usable, issuer: entraUrl.replace('bb/', 'bc/') }],
    ['the issuer of another cloud', { ...usable, issuer: entraUrl.replace('.com', '.us') }],
    ['an id that is no text', { ...usable, kid: 1 }],
    ['an empty id', { ...usable, kid: '' }],
    ['no id', { ...rsa.publicKey.export({ format: 'jwk' }) }],
    ['no sense', 'key'],
  ])('are not trusted with %s', async (_what, jwk) => {
    const { find } = start([jwk, second.jwk]);

    for (const kid of ['key', '1', '', 'undefined']) expect(await find(kid)).toBeUndefined();
    expect(await find(second.kid)).toBeDefined();
  });

  test.each([
    ['metadata of another issuer', { issuer: `${entraUrl}/`, jwks_uri: `${entraUrl}/keys` }],
    [
      'metadata with a placeholder',
      { issuer: entraUrl.replace(tenant, '{tenantid}'), jwks_uri: `${entraUrl}/keys` },
    ],
    ['metadata without keys', { issuer: entraUrl }],
    [
      'keys over plain http',
      { issuer: entraUrl, jwks_uri: 'http://login.microsoftonline.com/keys' },
    ],
    ['keys in a file', { issuer: entraUrl, jwks_uri: 'file:///etc/keys' }],
    ['metadata that is a list', []],
  ])('are not read with %s', async (_what, metadata) => {
    const { find, issuer } = start();
    issuer.metadata = metadata;

    await expect(find(first.kid)).rejects.toMatchObject({ code: 'issuer-unavailable' });
    expect(issuer.reads).toBe(0);
  });

  test('may be served over http on this machine', async () => {
    const { find, issuer } = start();
    issuer.metadata = { issuer: entraUrl, jwks_uri: 'http://localhost:4000/keys' };

    expect(await find(first.kid)).toBeDefined();
  });
});

function start(keys: readonly unknown[] = [first.jwk]): {
  readonly find: FindIssuerKey;
  readonly issuer: TestIssuer;
  readonly turn: (seconds: number) => void;
  /** Resolves when what is being read has been read. */
  readonly read: () => Promise<void>;
  readonly lines: readonly unknown[];
} {
  const issuer = new TestIssuer(entraUrl, keys);
  const lines: unknown[] = [];
  let time = noon.getTime();
  let logged = Promise.withResolvers<void>();
  const find = createIssuerKeys(
    { issuer: entraUrl, tenant },
    {
      fetchJson: issuer.fetchJson,
      now: () => new Date(time),
      log: (...line) => {
        lines.push(line);
        logged.resolve();
        logged = Promise.withResolvers<void>();
      },
    },
  );
  const turn = (seconds: number): void => {
    time += seconds * 1000;
  };
  return { find, issuer, turn, read: () => logged.promise, lines };
}

function createWeakKey(): object {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  return { ...publicKey.export({ format: 'jwk' }), kid: 'key' };
}

function createKeyOfOtherCurve(): object {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  return { ...publicKey.export({ format: 'jwk' }), kid: 'key' };
}
