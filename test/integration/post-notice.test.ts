import { once } from 'node:events';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { postNotice } from '../../lib/post-notice.ts';
import { portOf } from '../../local/free-port.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

async function start(answer: RequestListener): Promise<URL> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new URL(`http://127.0.0.1:${String(portOf(server.address()))}/hook?key=k`);
}

const headers = { 'content-type': 'text/x', 'webhook-id': 'n-1' };

describe('postNotice', () => {
  test('sends what it is given, and returns status and Retry-After', async () => {
    const seen: unknown[] = [];
    const url = await start((request, response) => {
      const { method, url: path, headers: sent } = request;
      request.on('data', (chunk) => seen.push(String(chunk)));
      request.on('end', () => {
        seen.push(method, path, sent['content-type'], sent['webhook-id'], sent['user-agent']);
        response.writeHead(429, { 'retry-after': '7' }).end('slow down');
      });
    });

    const answer = await postNotice({ url, headers, body: 'Über' });

    expect(answer).toEqual({ status: 429, retryAfter: '7' });
    expect(seen).toEqual(['Über', 'POST', '/hook?key=k', 'text/x', 'n-1', 'sallyport']);
  });

  test('follows no redirect', async () => {
    let visits = 0;
    const elsewhere = await start((_request, response) => {
      visits += 1;
      response.end();
    });
    const url = await start((_request, response) => {
      response.writeHead(307, { location: elsewhere.href }).end();
    });

    expect(await postNotice({ url, headers, body: 'x' })).toEqual({ status: 307 });
    expect(visits).toBe(0);
  });

  // A receiver that answers without end must hold neither memory nor the run.
  test('reads no more than a little of an endless answer', async () => {
    let sentBytes = 0;
    const url = await start((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const pour = (): void => {
        while (!response.destroyed && response.write(chunk)) sentBytes += chunk.length;
      };
      response
        .writeHead(200)
        .on('drain', pour)
        .on('error', () => undefined);
      pour();
    });

    expect(await postNotice({ url, headers, body: 'x' })).toEqual({ status: 200 });
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });

  test('takes the status for the answer when the body breaks off', async () => {
    const url = await start((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('x', () => response.destroy());
    });

    expect(await postNotice({ url, headers, body: 'x' })).toEqual({ status: 200 });
  });

  test('fails when nobody answers, without a word of the URL', async () => {
    const url = await start((request) => request.socket.destroy());

    const failure = await postNotice({ url, headers, body: 'x' }).catch((cause: unknown) => cause);

    expect(failure).toBeInstanceOf(Error);
    expect(JSON.stringify(failure, ['message', 'cause', 'code'])).not.toContain('hook');
  });
});
