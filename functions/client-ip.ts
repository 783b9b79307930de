import { isIP } from 'node:net';
import type { HttpRequest } from '@azure/functions';

/**
 * Returns the address of the client as the proxies in front wrote it; undefined when none is trusted to. Each proxy
 * appends what it saw to `X-Forwarded-For`, so with `hops` of them only the entry that far from the end is not the
 * client's own invention.
 */
export function readClientIp(headers: HttpRequest['headers'], hops: number): string | undefined {
  if (hops === 0) return undefined;
  const entry = headers.get('x-forwarded-for')?.split(',').at(-hops)?.trim() ?? '';
  // App Service writes `address:port`, and an IPv6 address then in brackets.
  const address =
    /^\[([^\]]+)\](?::\d+)?$/.exec(entry)?.[1] ?? entry.replace(/^([\d.]+):\d+$/, '$1');
  return isIP(address) === 0 ? undefined : address;
}
