import type { KeyObject } from 'node:crypto';
import { createHmac } from 'node:crypto';

/** What the receiver of a notice verifies it by (Standard Webhooks 1.0.0). */
export type SignatureHeaders = Readonly<
  Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>
>;

/**
 * Signs a notice as it is sent at a time, once with each secret, so that a receiver that knows either can verify it. The
 * id must hold no full stop, which separates what is signed.
 */
export function signNotice(
  secrets: readonly KeyObject[],
  { id, body }: { readonly id: string; readonly body: string },
  sentAt: Date,
): SignatureHeaders {
  const timestamp = String(Math.floor(sentAt.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const hmac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`);
    return `v1,${hmac.digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
