import { HttpRequest } from '@azure/functions';
import { describe, expect, test } from 'vitest';
import { readClientIp } from '../../functions/client-ip.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { sessionId, ssh } from '../support/sessions.ts';
import { memoryAudit, testBroker } from '../support/test-broker.ts';

collectLogLines();

function read(forwarded: string | undefined, hops: number): string | undefined {
  const headers: Record<string, string> =
    forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  const request = new HttpRequest({ method: 'GET', url: 'https://broker.test/', headers });
  return readClientIp(request.headers, hops);
}

// Threat 14: whoever sends the request may write anything into the header; proxies append.
describe('readClientIp', () => {
  test.each([
    ['no proxy is trusted', '198.51.100.7', 0, undefined],
    ['no proxy is trusted, of several entries', '203.0.113.9, 198.51.100.7', 0, undefined],
    ['there is no header', undefined, 1, undefined],
    ['the header is empty', '', 1, undefined],
    ['one proxy wrote it', '198.51.100.7', 1, '198.51.100.7'],
    ['the client invented one before it', '203.0.113.9, 198.51.100.7', 1, '198.51.100.7'],
    ['the client invented many', '1.1.1.1,2.2.2.2, 3.3.3.3 ,198.51.100.7', 1, '198.51.100.7'],
    ['two proxies wrote', '198.51.100.7, 10.0.0.1', 2, '198.51.100.7'],
    ['two wrote after an invention', '203.0.113.9, 198.51.100.7, 10.0.0.1', 2, '198.51.100.7'],
    ['fewer wrote than are trusted', '198.51.100.7', 2, undefined],
    ['App Service wrote a port', '198.51.100.7:50123', 1, '198.51.100.7'],
    ['it is IPv6', '2001:db8::7', 1, '2001:db8::7'],
    ['it is IPv6 in brackets', '[2001:db8::7]', 1, '2001:db8::7'],
    ['it is IPv6 in brackets with a port', '[2001:db8::7]:50123', 1, '2001:db8::7'],
    ['it is a name', 'client.example', 1, undefined],
    ['it is a number out of range', '256.1.1.1', 1, undefined],
    ['it is "unknown"', 'unknown', 1, undefined],
    ['a bracket is open', '[2001:db8::7', 1, undefined],
    ['there is more behind the address', '198.51.100.7 x', 1, undefined],
    ['the entry of the proxy is garbage after a good one', '198.51.100.7, x', 1, undefined],
    ['the entry of the proxy is empty', '198.51.100.7,', 1, undefined],
  ])('when %s', (_when, forwarded, hops, address) => {
    expect(read(forwarded, hops)).toBe(address);
  });
});

describe('a request with an address that is not trusted', () => {
  test.each([
    [0, undefined],
    [1, '198.51.100.7'],
  ])('with %i proxies is recorded as from %s', async (proxyHops, clientIp) => {
    const audit = memoryAudit();
    const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' };

    await call(testBroker({ audit, proxyHops }), 'PUT', '/api/sessions/{id}', {
      token: 'ada',
      params: { id: sessionId },
      headers,
      body: ssh,
    });

    const [requested] = audit.entries;
    expect(requested).toMatchObject({ type: 'session.requested' });
    expect(JSON.stringify(audit.entries)).not.toContain('203.0.113.9');
    expect(JSON.stringify(audit.entries).includes('198.51.100.7')).toBe(clientIp !== undefined);
  });
});
