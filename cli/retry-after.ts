import type { IncomingHttpHeaders } from 'node:http';

/**
 * Returns the seconds of `Retry-After` (RFC 9110, section 10.2.3), or undefined where there are none. A date is not
 * read: the clock of this machine may differ from that of the broker, which sends none.
 */
export function readRetryAfter(headers: IncomingHttpHeaders | undefined): number | undefined {
  const text = headers?.['retry-after'];
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}
