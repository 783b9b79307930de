import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureCertificates, type Certificates } from '../../local/certificates.ts';
import { portOf } from '../../local/free-port.ts';

describe('ensureCertificates', () => {
  const now = new Date();
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-certificates-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  test.each(['localhost', '127.0.0.1', '[::1]'])(
    'makes a server that a client with the authority trusts as %s',
    async (name) => {
      const files = await ensureCertificates(folder, now);

      expect(await shakeHands(files, name, readFileSync(files.ca))).toBe('trusted');
    },
  );

  test('makes a server that a client without the authority refuses', async () => {
    const files = await ensureCertificates(folder, now);

    await expect(shakeHands(files, 'localhost', undefined)).rejects.toThrow(
      'unable to verify the first certificate',
    );
  });

  test('keeps what is there until 30 days before it expires, then renews', async () => {
    const files = await ensureCertificates(folder, now);
    const first = readFileSync(files.certificate, 'utf8');

    await ensureCertificates(folder, daysAfter(now, 366));
    expect(readFileSync(files.certificate, 'utf8')).toBe(first);

    await ensureCertificates(folder, daysAfter(now, 368));
    expect(readFileSync(files.certificate, 'utf8')).not.toBe(first);
  });

  test('makes a new set when one of the files does not belong to the others', async () => {
    const files = await ensureCertificates(folder, now);
    writeFileSync(files.key, 'not a key');

    await ensureCertificates(folder, now);

    expect(await shakeHands(files, 'localhost', readFileSync(files.ca))).toBe('trusted');
  });

  test('lets the owner alone read the key', async () => {
    const { key } = await ensureCertificates(folder, now);

    expect(statSync(key).mode & 0o777).toBe(0o600);
  });
});

function daysAfter(time: Date, days: number): Date {
  return new Date(time.getTime() + days * 86_400_000);
}

async function shakeHands(
  files: Certificates,
  name: string,
  ca: Buffer | undefined,
): Promise<string> {
  const pair = { cert: readFileSync(files.certificate), key: readFileSync(files.key) };
  const server = createServer(pair, (_request, response) => response.end('trusted'));
  await once(server.listen(0, name === '[::1]' ? '::1' : '127.0.0.1'), 'listening');
  try {
    const url = `https://${name}:${portOf(server.address())}/`;
    const family = name === '[::1]' ? 6 : 4;
    const options = { family, ...(ca && { ca }), agent: false };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url, options, resolve).once('error', reject);
    });
    return await text(response);
  } finally {
    server.close();
  }
}
