import jwt from 'jsonwebtoken';
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { Listing } from '../../lib/continuation.ts';
import { continuationSeconds, readContinuation, signContinuation } from '../../lib/continuation.ts';
import { verifyTicket } from '../../lib/ticket.ts';
import { openSession } from '../support/sessions.ts';
import { ada, eve, testBroker, testClock, testKeys, testRoot } from '../support/test-broker.ts';
import { openTestKeys } from '../support/test-instance-keys.ts';

const listing: Listing = { list: 'audit-export', caller: ada.id, query: { from: '2026-03-02' } };
const position = { chain: 'a', row: '000000000007' };
const shape = z.strictObject({ chain: z.string(), row: z.string() });

describe('a continuation', () => {
  test('gives the position back to its caller, for its query', async () => {
    const broker = testBroker();
    const token = await signContinuation(broker, listing, position);

    await expect(readContinuation(broker, listing, token, shape)).resolves.toEqual(position);
  });

  test('is read by another process of the broker, and by none of another broker', async () => {
    const { open, clock } = openTestKeys();
    const [one, two] = [open(), open()].map((keys) => testBroker({ keys, now: clock.now }));
    const token = await signContinuation(one ?? testBroker(), listing, position);

    const elsewhere = testBroker({ now: clock.now });
    await expect(readContinuation(two ?? elsewhere, listing, token, shape)).resolves.toEqual(
      position,
    );
    await expect(readContinuation(elsewhere, listing, token, shape)).rejects.toMatchObject({
      code: 'continuation-invalid',
    });
  });

  test.each([
    ['another caller', { caller: eve.id }],
    ['another list', { list: 'audit' }],
    ['another query', { query: { from: '2026-03-01' } }],
    ['a wider query', { query: { from: '2026-03-02', to: '2026-03-03' } }],
  ])('is refused for %s', async (_, change) => {
    const broker = testBroker();
    const token = await signContinuation(broker, listing, position);

    await expect(
      readContinuation(broker, { ...listing, ...change }, token, shape),
    ).rejects.toMatchObject({ code: 'continuation-invalid' });
  });

  test('is refused when any bit of it was changed', async () => {
    const broker = testBroker();
    const token = await signContinuation(broker, listing, position);

    // From the end, whose last character has bits that count for nothing.
    for (let at = token.length - 1; at >= 0; at -= 5) {
      const other = String.fromCharCode(token.charCodeAt(at) + 1);
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      await expect(readContinuation(broker, listing, changed, shape)).rejects.toMatchObject({
        code: 'continuation-invalid',
      });
    }
  });

  test('expires after an hour, and says so', async () => {
    const clock = testClock();
    const broker = testBroker({ now: clock.now });
    const token = await signContinuation(broker, listing, position);

    clock.pass(continuationSeconds);
    await expect(readContinuation(broker, listing, token, shape)).resolves.toEqual(position);
    clock.pass(10);
    await expect(readContinuation(broker, listing, token, shape)).rejects.toMatchObject({
      code: 'continuation-expired',
    });
  });

  test('is refused when its key has been withdrawn', async () => {
    const broker = testBroker();
    const token = await signContinuation(broker, listing, position);
    const keys = { ...broker.keys, isListed: async () => false };

    await expect(
      readContinuation({ ...broker, keys }, listing, token, shape),
    ).rejects.toMatchObject({ code: 'continuation-invalid' });
  });

  test('is refused when a key signed it for longer than a continuation lives', async () => {
    const broker = testBroker();
    const token = await signContinuation(broker, listing, position);
    const { header, payload } = z
      .object({
        header: z.looseObject({ alg: z.string() }),
        payload: z.looseObject({ exp: z.int() }),
      })
      .parse(jwt.decode(token, { complete: true }));
    const { privateKey } = await broker.keys.current();
    const forged = jwt.sign({ ...payload, exp: payload.exp + 1 }, privateKey, {
      algorithm: 'ES256',
      header: { ...header, alg: 'ES256' },
    });

    await expect(readContinuation(broker, listing, forged, shape)).rejects.toMatchObject({
      code: 'continuation-invalid',
    });
  });

  // Both are signed with the same key.
  test('is no ticket, and a ticket is no continuation', async () => {
    const broker = testBroker();
    const { ticket } = await openSession(broker);
    const token = await signContinuation(broker, { ...listing, list: broker.gateway.id }, position);
    const { roots } = broker.keys;
    const verifier = { roots, issuer: broker.url.origin, gateway: broker.gateway.id };

    expect(() => verifyTicket(token, verifier, broker.now())).toThrow('Ask for a new ticket');
    const own = { ...listing, list: broker.gateway.id };
    await expect(readContinuation(broker, own, ticket.ticket, z.unknown())).rejects.toMatchObject({
      code: 'continuation-invalid',
    });
  });

  test('is refused under another root', async () => {
    const broker = testBroker();
    const token = await signContinuation(broker, listing, position);
    const keys = testKeys(broker.now, broker.url.origin, testRoot());

    await expect(
      readContinuation(
        { ...broker, keys: { ...keys, isListed: async () => true } },
        listing,
        token,
        shape,
      ),
    ).rejects.toMatchObject({ code: 'continuation-invalid' });
  });
});
