import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { fetchJson } from '../../lib/fetch-json.ts';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import {
  createTestIdentify,
  createTokenKey,
  entraClaims,
  noon,
  signToken,
  tenant,
} from '../support/token-factory.ts';

const first = createTokenKey('RS256');
const second = createTokenKey('ES256');

type Answer = (response: ServerResponse) => void;

const metadataPath = '/adfs/.well-known/openid-configuration';
const answers = new Map<string, Answer>();
const asked: string[] = [];

const server = createServer((request, response) => {
  asked.push(request.url ?? '');
  const answer = answers.get(request.url ?? '') ?? (() => response.writeHead(404).end());
  answer(response);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const base = `http://127.0.0.1:${toPort(server.address())}`;
const url = `${base}/adfs`;
const claims = { ...entraClaims['v2-user'], iss: url };

const issuers = parseTrustedIssuers([
  {
    kind: 'entra',
    tenant,
    audience: [claims.aud],
    people: { scope: claims.scp },
    issuer: url,
  },
]);

beforeEach(() => {
  asked.length = 0;
  answers.clear();
  answers.set(metadataPath, json({ issuer: url, jwks_uri: `${base}/keys` }));
  answers.set('/keys', json({ keys: [first.jwk] }));
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('identify, with an issuer that is served over HTTP', () => {
  test('knows the caller, and reads metadata and keys once', async () => {
    const identify = createTestIdentify(issuers, fetchJson);
    const token = await signToken(first, claims);

    const callers = await Promise.all(Array.from({ length: 20 }, () => identify(token)));

    expect(new Set(callers.map(({ name }) => name))).toEqual(new Set(['Alice']));
    expect(asked).toEqual([metadataPath, '/keys']);
  });

  test('follows a rotation under load without losing a token', async () => {
    const clock = { now: noon };
    const identify = createTestIdentify(issuers, fetchJson, clock);
    const tokens = [await signToken(first, claims), await signToken(second, claims)];
    await identify(tokens[0] ?? '');
    answers.set('/keys', json({ keys: [first.jwk, second.jwk] }));
    clock.now = new Date(noon.getTime() + 30_000);

    const load = Array.from({ length: 100 }, (_, n) => identify(tokens[n % 2] ?? ''));

    expect(await Promise.all(load)).toHaveLength(100);
    expect(asked.filter((path) => path === '/keys')).toHaveLength(2);
  });

  test('is unavailable while the issuer fails, and recovers without a restart', async () => {
    const clock = { now: noon };
    const identify = createTestIdentify(issuers, fetchJson, clock);
    const token = await signToken(first, claims);
    answers.set('/keys', (response) => response.writeHead(503).end('busy'));

    await expect(identify(token)).rejects.toMatchObject({
      code: 'issuer-unavailable',
      details: { retryAfterSeconds: 5, cause: { message: `${base}/keys answered 503` } },
    });
    answers.set('/keys', json({ keys: [first.jwk] }));
    clock.now = new Date(noon.getTime() + 5000);
    await expect(identify(token)).resolves.toHaveProperty('name', 'Alice');
    answers.set(metadataPath, (response) => response.destroy());
    clock.now = new Date(noon.getTime() + 600_000);
    await expect(identify(await signToken(second, claims))).rejects.toHaveProperty(
      'code',
      'token-invalid',
    );
    await expect(identify(token)).resolves.toHaveProperty('name', 'Alice');
  });

  test('gives up on an issuer that never answers', async () => {
    answers.set('/keys', () => {});

    await expect(
      createTestIdentify(issuers, fetchJson)(await signToken(first, claims)),
    ).rejects.toMatchObject({
      code: 'issuer-unavailable',
      details: { cause: { name: 'TimeoutError' } },
    });
  });
});

describe('fetchJson', () => {
  const read = (path: string): Promise<unknown> =>
    fetchJson(new URL(path, base), AbortSignal.timeout(5000));

  test('reads JSON of 256 KiB', async () => {
    const text = 'x'.repeat(256 * 1024 - 2);
    answers.set('/full', json(text));

    await expect(read('/full')).resolves.toBe(text);
  });

  test('stops reading one byte later', async () => {
    answers.set('/over', json('x'.repeat(256 * 1024 - 1)));

    await expect(read('/over')).rejects.toThrow('answered more than 262144 bytes');
  });

  test('stops reading an answer without end', async () => {
    const closed = Promise.withResolvers<void>();
    answers.set('/endless', (response) => {
      response.on('close', closed.resolve);
      const write = (): void => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', write);
      };
      write();
    });

    await expect(read('/endless')).rejects.toThrow('answered more than 262144 bytes');
    await closed.promise;
  });

  // Whoever could redirect would choose the keys that we trust.
  test('does not follow a redirect', async () => {
    answers.set('/moved', (response) => response.writeHead(302, { location: '/keys' }).end());

    await expect(read('/moved')).rejects.toThrow('fetch failed');
    expect(asked).toEqual(['/moved']);
  });

  test('fails on what is no JSON', async () => {
    answers.set('/page', (response) => response.end('<html>'));

    await expect(read('/page')).rejects.toThrow('JSON');
  });

  test('fails on an empty answer', async () => {
    answers.set('/empty', (response) => response.writeHead(204).end());

    await expect(read('/empty')).rejects.toThrow('answered 204');
  });
});

function json(value: unknown): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
}

function toPort(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
