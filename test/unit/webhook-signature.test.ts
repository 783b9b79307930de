import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { signNotice } from '../../lib/webhook-signature.ts';

const toKey = (base64: string) => createSecretKey(base64, 'base64');

describe('signNotice', () => {
  // The vector of the libraries that come with the specification.
  test('gives the signature that the specification’s own libraries give', () => {
    const headers = signNotice(
      [toKey('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')],
      { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' },
      new Date(1_614_265_330_999),
    );

    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  test('signs with each secret, so that the holder of either can verify any body', async () => {
    const secret = fc.uint8Array({ minLength: 24, maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(secret, secret, fc.string({ unit: 'grapheme' }), async (one, two, body) => {
        const keys = [one, two].map((bytes) => createSecretKey(bytes));

        const headers = signNotice(keys, { id: 'n-1', body }, new Date(1_700_000_000_000));

        const content = new TextEncoder().encode(`n-1.1700000000.${body}`);
        const expected = [await sign(one, content), await sign(two, content)];
        expect(headers['webhook-signature']).toBe(expected.join(' '));
      }),
      { numRuns: 30 },
    );
  });
});

// By Web Crypto, which shares no code with what is tested.
async function sign(bytes: Uint8Array, content: Uint8Array): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', Buffer.from(bytes), algorithm, false, ['sign']);
  const signature = await crypto.subtle.sign('HMAC', key, Buffer.from(content));
  return `v1,${Buffer.from(signature).toString('base64')}`;
}
