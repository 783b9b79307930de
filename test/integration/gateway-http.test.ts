import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeBroker } from '../support/fake-broker.ts';
import { formatUpgrade, GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const broker = new FakeBroker();
let gateway: GatewayProcess;
let target: TcpTarget;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
  target = await TcpTarget.start((socket) => socket.pipe(socket));
});

afterAll(async () => {
  await gateway.stop();
  await target.stop();
  await broker.close();
});

/** Sends bytes and resolves with all that comes back. */
async function exchange(bytes: string): Promise<string> {
  const socket = await gateway.openTls();
  socket.write(bytes);
  return text(socket);
}

async function secondsUntilClosed(socket: TLSSocket | ReturnType<typeof connect>): Promise<number> {
  const start = performance.now();
  socket.resume();
  await once(socket, 'close');
  return (performance.now() - start) / 1000;
}

describe('the HTTP front end', () => {
  test('200 on /healthz while the broker can be reached', async () => {
    expect(await exchange('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  test.each([
    [404, 'another path', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    [404, 'a body', 'POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi'],
    [404, 'a whole URL', 'GET https://evil.example/connect HTTP/1.1\r\nHost: x\r\n\r\n'],
    [404, 'a slash at the end', 'GET /connect/ HTTP/1.1\r\nHost: x\r\n\r\n'],
    [401, 'a query', 'GET /connect?ticket=x HTTP/1.1\r\nHost: x\r\n\r\n'],
    [426, 'no upgrade', 'GET /connect HTTP/1.1\r\nHost: x\r\n\r\n'],
    [426, 'version 8 of WebSocket', formatUpgrade({ 'sec-websocket-version': '8' })],
    [426, 'an upgrade to another protocol', formatUpgrade({ upgrade: 'h2c' })],
    [431, 'a head of 17 KB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(17_000)}\r\n\r\n`],
  ])('%i to %s', async (status, _name, request) => {
    expect(await exchange(request)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  test('speaks HTTP/1.1 and TLS 1.2 or later, and nothing else', async () => {
    await expect(gateway.openTls({ ALPNProtocols: ['h2'] })).rejects.toThrow(
      /no_application_proto|alert/,
    );
    await expect(
      gateway.openTls({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0' }),
    ).rejects.toThrow('protocol version');
  });

  // Threat 29. Node applies no deadline of its own to sockets that are handed to its HTTP server.
  test('cuts a client that is silent, and one that drips, after 10 s', async () => {
    const { hostname, port } = new URL(gateway.url);
    const silentTcp = connect(Number(port), hostname).on('error', () => {});
    const silentTls = await gateway.openTls();
    const dripping = await gateway.openTls();
    dripping.write('GET /connect HTTP/1.1\r\n');
    const drip = setInterval(() => dripping.write('a: b\r\n'), 500);
    const times = await Promise.all([silentTcp, silentTls, dripping].map(secondsUntilClosed));
    clearInterval(drip);

    for (const seconds of times) {
      expect(seconds).toBeGreaterThan(8);
      expect(seconds).toBeLessThan(13);
    }
  });
});

// Threat 15. Each would be let in if it were well formed: the ticket is real.
describe('a request that could mean two things', () => {
  const crlf = '\r\n';
  const corpus: Readonly<Record<string, (upgrade: string) => string>> = {
    'a length and chunks': (head) =>
      withHeaders(head, 'Content-Length: 5', 'Transfer-Encoding: chunked'),
    'two lengths': (head) => withHeaders(head, 'Content-Length: 0', 'Content-Length: 5'),
    'a length that is no number': (head) => withHeaders(head, 'Content-Length: +5'),
    'a body by length': (head) => `${withHeaders(head, 'Content-Length: 5')}hello`,
    'a body in chunks': (head) =>
      `${withHeaders(head, 'Transfer-Encoding: chunked')}0${crlf}${crlf}`,
    'an unknown transfer encoding': (head) => withHeaders(head, 'Transfer-Encoding: xchunked'),
    'two Upgrade headers': (head) => withHeaders(head, 'Upgrade: websocket'),
    'two protocols in Upgrade': (head) =>
      head.replace('upgrade: websocket', 'upgrade: websocket, h2c'),
    'two Authorization headers': (head) => withHeaders(head, 'Authorization: Bearer x'),
    'two Host headers': (head) => withHeaders(head, 'Host: other'),
    'two keys': (head) => withHeaders(head, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='),
    'two versions': (head) => withHeaders(head, 'Sec-WebSocket-Version: 13'),
    'two Origin headers': (head) => withHeaders(head, 'Origin: https://a', 'Origin: https://b'),
    'no Host': (head) => head.replace(/^host: .*\r\n/m, ''),
    'a short key': (head) => head.replace(/sec-websocket-key: .*/, 'sec-websocket-key: abc='),
    'a blank before a colon': (head) => withHeaders(head, 'X-Header : y'),
    'a folded header': (head) => withHeaders(head, `X-Header: y${crlf} Upgrade: z`),
    'a bare line feed': (head) => withHeaders(head, 'X: y\nTransfer-Encoding: chunked'),
    'a bare carriage return': (head) => withHeaders(head, 'X: y\rZ: a'),
    'a NUL in a header': (head) => withHeaders(head, 'X: \0'),
    'a blank in the path': (head) => head.replace('/connect', '/connect /x'),
    'POST as the method': (head) => head.replace('GET', 'POST'),
    'HTTP/1.0': (head) => head.replace('HTTP/1.1', 'HTTP/1.0'),
    'HTTP/2.0': (head) => head.replace('HTTP/1.1', 'HTTP/2.0'),
    '101 headers': (head) => withHeaders(head, ...Array<string>(101).fill('X: y')),
    'another request before it': (head) =>
      `GET /healthz HTTP/1.1${crlf}Host: x${crlf}${crlf}${head}`,
    'a body that holds it': (head) =>
      `POST / HTTP/1.1${crlf}Host: x${crlf}Content-Length: ${head.length}${crlf}${crlf}${head}`,
  };

  function withHeaders(head: string, ...headers: readonly string[]): string {
    return head.replace(/\r\n\r\n$/, `${crlf}${headers.join(crlf)}${crlf}${crlf}`);
  }

  test.each(Object.entries(corpus))('by %s opens no tunnel', async (_name, change) => {
    const authorization = `Bearer ${await broker.issueTicket(target.port)}`;
    const answer = await exchange(change(formatUpgrade({ authorization })));

    expect(answer).not.toContain('HTTP/1.1 101');
    expect(answer).toMatch(/^(HTTP\/1\.1 (4\d\d|200) |$)/);
    expect(broker.redemptions).toEqual([]);
    expect(target.sockets).toEqual([]);
  });

  test('is not what an ordinary handshake is', async () => {
    const session = randomUUID();
    const socket = await gateway.openRaw(await broker.issueTicket(target.port, { session }));
    socket.destroy();

    expect(await broker.findClose(session)).toMatchObject({ reason: 'client-lost' });
  });
});
