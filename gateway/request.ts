import type { IncomingMessage } from 'node:http';
import { BrokerError } from '../lib/failure.ts';

const maxHeaders = 100;

// Where two of these differ, two programs on the way may each believe another one.
const singleHeaders = new Set([
  'authorization',
  'connection',
  'content-length',
  'host',
  'origin',
  'sec-websocket-key',
  'sec-websocket-version',
  'transfer-encoding',
  'upgrade',
]);

/** Fails with `request-invalid` for a head that could mean two things, and for an upgrade that brings a body. */
export function checkHead({ rawHeaders, headers }: IncomingMessage, isUpgrade: boolean): void {
  const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  if (names.length > maxHeaders)
    throw new BrokerError('request-invalid', `Send at most ${maxHeaders} headers.`);
  const single = names.filter((name) => singleHeaders.has(name));
  if (new Set(single).size !== single.length)
    throw new BrokerError('request-invalid', 'Send each header once.');
  // Node asks for a Host everywhere but in an upgrade.
  if (headers.host === undefined) throw new BrokerError('request-invalid', 'Send a Host header.');
  const hasBody =
    headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (isUpgrade && hasBody)
    throw new BrokerError('request-invalid', 'Send no body with an upgrade.');
}

/** The path of a request, and whether a query follows. Nothing in a query has a meaning here. */
export function parsePath(url: string): { readonly path: string; readonly hasQuery: boolean } {
  const [path = '', query] = url.split('?', 2);
  return { path, hasQuery: query !== undefined };
}

/** Returns the address of a peer without an IPv4-in-IPv6 prefix or a zone id, as the broker takes it. */
export function toClientIp(remoteAddress: string | undefined): string | undefined {
  return remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
}
