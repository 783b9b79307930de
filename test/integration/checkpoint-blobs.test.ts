import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpointBlobs } from '../../lib/azure/checkpoint-blobs.ts';
import type { Blobs } from '../../local/azurite-blobs.ts';
import { startBlobs } from '../../local/azurite-blobs.ts';
import { describeCopies } from '../support/checkpoint-copies-contract.ts';
import type { WireFault } from '../support/fault-proxy.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { memoryCopies } from '../support/test-sealer.ts';

const developmentKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const credential = { getToken: () => new Promise<never>(() => {}) };

let folder: string;
let blobs: Blobs;
let opened = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-copies-'));
  blobs = await startBlobs({ folder, port: 0 });
});

afterAll(async () => {
  await blobs.close();
  rmSync(folder, { recursive: true });
});

async function createContainer(): Promise<URL> {
  opened += 1;
  const url = new URL(`${blobs.url}/checkpoints${opened}`);
  const identity = new StorageSharedKeyCredential('devstoreaccount1', developmentKey);
  await new ContainerClient(url.href, identity).create();
  return url;
}

describeCopies('memory', async () => memoryCopies());
describeCopies('a container', async () =>
  openCheckpointBlobs({ url: await createContainer(), credential }),
);

describe('openCheckpointBlobs', () => {
  test.each(['http://example.com/cp', 'http://10.0.0.4/cp', 'ftp://127.0.0.1/cp'])(
    'does not open %s, where tokens could be read',
    (url) => {
      expect(() => openCheckpointBlobs({ url: new URL(url), credential })).toThrow('https:');
    },
  );

  test('does not take a missing container for a missing copy, and tells no credential', async () => {
    const copies = openCheckpointBlobs({ url: new URL(`${blobs.url}/nothing`), credential });

    const failure: unknown = await copies.find(1).catch((error: unknown) => error);

    const shown = inspect(failure, { depth: 20, showHidden: true });
    expect(shown).toContain('ContainerNotFound');
    expect(shown).not.toMatch(/authorization|SharedKey/i);
  });

  const faults: readonly WireFault[] = [
    'request-lost',
    'answer-lost',
    'answer-halved',
    'answer-hangs',
    500,
    503,
  ];

  // A call that was carried out and whose answer was lost must not look like a copy of somebody else.
  test.each(faults)(
    'fails within seconds after a fault on the wire (%s), and then goes on',
    async (fault) => {
      const url = await createContainer();
      let isBroken = true;
      const proxy = await startFaultProxy(url, () => (isBroken ? fault : undefined));
      const copies = openCheckpointBlobs({ url: proxy.url, credential });
      const start = performance.now();

      const outcome = await copies.add(1, 'text').catch(() => 'failed');
      await expect(copies.find(1)).rejects.toThrow('checkpoint 1');
      isBroken = false;

      expect(performance.now() - start).toBeLessThan(8000);
      expect(outcome).toBe(fault === 'answer-halved' ? 'added' : 'failed');
      await copies.add(1, 'text');
      expect(await copies.find(1)).toBe('text');
      await proxy.close();
    },
  );

  test('does not wait for a credential that never answers', async () => {
    const copies = openCheckpointBlobs({ url: new URL('https://127.0.0.1:1/cp'), credential });

    await expect(copies.find(1)).rejects.toThrow('checkpoint 1');
  });
});
