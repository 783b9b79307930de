import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { signEndorsement } from '../../lib/endorsement.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import type { MemoryTable } from '../support/memory-table.ts';
import { testRoot } from '../support/test-broker.ts';
import { issuer, openTestKeys } from '../support/test-instance-keys.ts';

const hour = 3600;

describe('isListed', () => {
  test('knows the keys of other processes', async () => {
    const { keys, open } = openTestKeys();
    const { kid } = await open().current();

    expect(await keys.isListed(kid)).toBe(true);
    expect(await keys.isListed('absent')).toBe(false);
  });

  test('asks the table once for many, and again after 30 s', async () => {
    const { calls, clock, keys } = openTestKeys();
    const ask = async () =>
      Promise.all(Array.from({ length: 20 }, async () => keys.isListed('absent')));

    await ask();
    clock.pass(29);
    await ask();
    expect(calls.find).toBe(1);

    clock.pass(1);
    await ask();
    expect(calls.find).toBe(2);
  });

  test('does not remember a failure', async () => {
    let isDown = true;
    const { keys, open } = openTestKeys((operation) =>
      isDown && operation === 'find' ? 'before' : undefined,
    );
    const { kid } = await open().current();

    await expect(keys.isListed(kid)).rejects.toMatchObject({ code: 'state-unavailable' });
    isDown = false;

    expect(await keys.isListed(kid)).toBe(true);
  });

  test('remembers a bounded number of keys, the newest', async () => {
    const { calls, keys } = openTestKeys();

    for (let i = 0; i <= 1000; i += 1) await keys.isListed(`kid-${i}`);
    await keys.isListed('kid-1000');
    expect(calls.find).toBe(1001);

    await keys.isListed('kid-0');
    expect(calls.find).toBe(1002);
  });

  test('is false once the endorsement has expired', async () => {
    const { clock, keys } = openTestKeys();
    const { kid } = await keys.current();
    clock.pass(24 * hour + 5);

    expect(await keys.isListed(kid)).toBe(false);
  });
});

describe('list', () => {
  test('gives the public keys of all processes as JWKs with their endorsements, and nothing private', async () => {
    const { keys, open } = openTestKeys();
    const mine = await keys.current();
    const theirs = await open().current();

    const listed = await keys.list();

    expect(new Set(listed.map(({ kid }) => kid))).toEqual(new Set([mine.kid, theirs.kid]));
    for (const jwk of listed) {
      expect(Object.keys(jwk).sort().join(' ')).toBe('alg crv endorsement kid kty use x y');
      expect(jwk).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    }
  });

  // Storage access alone must not be enough to sign tickets.
  test('leaves out rows that the root key has not endorsed for this broker', async () => {
    const { clock, keys, root, state } = openTestKeys();
    const { endorsement, kid } = await keys.current();
    const foreign = toPublicJwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
    const forge = async (by: RootKey, from: string) =>
      signEndorsement(
        by,
        { jwk: foreign, issuer: from },
        clock.now(),
        new Date('2026-03-03T00:00:00Z'),
      );
    await list(state, toKid(foreign), await forge(testRoot(), issuer));
    await list(state, 'other', await forge(root, issuer));
    await list(state, 'copied', endorsement);
    await list(state, 'nothing', '');
    await state.insert({ partition: 'keys', row: 'empty', values: {} });

    expect((await keys.list()).map((jwk) => jwk['kid'])).toEqual([kid]);
    expect(await keys.isListed(toKid(foreign))).toBe(false);
    expect(await keys.isListed('other')).toBe(false);

    await state.put([
      {
        partition: 'keys',
        row: toKid(foreign),
        values: { endorsement: await forge(root, 'https://other.test') },
      },
    ]);
    clock.pass(30);
    expect(await keys.isListed(toKid(foreign))).toBe(false);
  });

  test('asks the table once in ten seconds', async () => {
    const { calls, clock, keys } = openTestKeys();

    await Promise.all([keys.list(), keys.list()]);
    clock.pass(9);
    await keys.list();
    expect(calls.list).toBe(1);

    clock.pass(1);
    await keys.list();
    expect(calls.list).toBe(2);
  });
});

async function list(state: MemoryTable, row: string, endorsement: string): Promise<void> {
  await state.insert({ partition: 'keys', row, values: { endorsement, expires: 2_000_000_000 } });
}
