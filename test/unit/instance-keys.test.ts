import { describe, expect, test } from 'vitest';
import { verifyEndorsement } from '../../lib/endorsement.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { issuer, openTestKeys, settle } from '../support/test-instance-keys.ts';

const hour = 3600;
const unavailable = { code: 'keys-unavailable', details: { retryAfterSeconds: 5 } };

describe('current', () => {
  test('makes one key for all who ask at once, endorsed and listed before it is returned', async () => {
    const { calls, clock, keys, roots, state } = openTestKeys();

    const made = await Promise.all(Array.from({ length: 20 }, keys.current));

    const [key] = made;
    expect(new Set(made).size).toBe(1);
    expect(calls.sign).toBe(1);
    const [row] = state.rows();
    expect(row).toMatchObject({
      partition: 'keys',
      row: key?.kid,
      values: { endorsement: key?.endorsement },
    });
    const endorsed = verifyEndorsement(key?.endorsement ?? '', roots, clock.now(), 0);
    expect(endorsed).toMatchObject({
      kid: key?.kid,
      issuer,
      expiresAt: new Date('2026-03-03T12:00:00Z'),
    });
    expect(row?.values['expires']).toBe(endorsed.expiresAt.getTime() / 1000);
  });

  test('keeps the private key in memory', async () => {
    const { keys, state } = openTestKeys();

    const { privateKey } = await keys.current();

    const { d = '' } = privateKey.export({ format: 'jwk' });
    expect(d).toHaveLength(43);
    expect(JSON.stringify(state.rows())).not.toContain(d);
  });

  test('gives a key that a gateway accepts whose clock is five seconds behind', async () => {
    const { clock, keys, roots } = openTestKeys();

    const { endorsement } = await keys.current();

    const behind = new Date(clock.now().getTime() - 5000);
    expect(() => verifyEndorsement(endorsement, roots, behind, 0)).not.toThrow();
  });

  test('is replaced at half its life, while the old one goes on signing', async () => {
    const { calls, clock, keys, state } = openTestKeys();
    const first = await keys.current();
    clock.pass(12 * hour - 1);
    expect(await keys.current()).toBe(first);

    clock.pass(1);
    const meanwhile = await Promise.all([keys.current(), keys.current()]);
    await settle(() => state.rows().length === 2);
    const second = await keys.current();

    expect(meanwhile).toEqual([first, first]);
    expect(second.kid).not.toBe(first.kid);
    expect(calls.sign).toBe(2);
    expect(await keys.isListed(first.kid)).toBe(true);
    expect(await keys.isListed(second.kid)).toBe(true);
  });

  test('goes on with the old key while no new one can be had, and asks only now and then', async () => {
    let isDown = false;
    const { calls, clock, keys, logged } = openTestKeys((operation) =>
      isDown && operation === 'insert' ? 'before' : undefined,
    );
    const first = await keys.current();
    isDown = true;
    clock.pass(12 * hour);

    expect(await keys.current()).toBe(first);
    await settle(() => logged.length === 1);
    expect(await keys.current()).toBe(first);
    clock.pass(30);
    expect(await keys.current()).toBe(first);
    await settle(() => logged.length === 2);

    expect(logged).toEqual(['key-renewal-failed', 'key-renewal-failed']);
    expect(calls.sign).toBe(3);
  });

  test('fails when the old key is about to expire and no new one can be had, and then recovers', async () => {
    let isDown = false;
    const { clock, keys } = openTestKeys((operation) =>
      isDown && operation === 'insert' ? 'before' : undefined,
    );
    const first = await keys.current();
    isDown = true;
    clock.pass(24 * hour - 120);

    await expect(keys.current()).rejects.toMatchObject(unavailable);
    isDown = false;

    expect((await keys.current()).kid).not.toBe(first.kid);
  });

  test('fails when the root key cannot be used, and then recovers', async () => {
    const { open, root } = openTestKeys();
    const cause = new BrokerError('keys-unavailable', 'Try again.');
    let isDown = true;
    const sign: RootKey['sign'] = async (data) =>
      isDown ? Promise.reject(cause) : root.sign(data);
    const keys = open({ ...root, sign });

    await expect(keys.current()).rejects.toMatchObject({ ...unavailable, cause });
    isDown = false;

    expect(await keys.current()).toHaveProperty('kid');
  });

  test('gives a new key once its own has been withdrawn', async () => {
    const { clock, keys, state } = openTestKeys();
    const { kid } = await keys.current();
    await keys.isListed(kid);
    await state.remove('keys', kid);
    clock.pass(30);

    expect(await keys.isListed(kid)).toBe(false);
    expect((await keys.current()).kid).not.toBe(kid);
  });

  test('removes the rows of keys that have expired', async () => {
    const { clock, keys, open, state } = openTestKeys();
    const { kid } = await keys.current();
    clock.pass(25 * hour);

    await open().current();
    await settle(() => state.rows().length === 1);

    expect(state.rows()[0]?.row).not.toBe(kid);
  });
});
