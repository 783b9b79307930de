import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPolicyBlobs } from '../../lib/azure/policy-blobs.ts';
import { bundleBytes } from '../../lib/policy-bundle.ts';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import { checkIsolated } from '../../lib/policy-isolation.ts';
import { pointerBytes } from '../../lib/policy-pointer.ts';
import { loadPolicy } from '../../lib/policy.ts';
import type { BlobPolicyStores } from '../support/blob-policy-store.ts';
import { startBlobPolicyStores } from '../support/blob-policy-store.ts';
import type { WireFault } from '../support/fault-proxy.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { decide, followPolicy } from '../support/follow-policy.ts';
import { describePolicySource } from '../support/policy-source-contract.ts';
import { publish, sets } from '../support/policy-store.ts';
import { memoryAudit } from '../support/test-broker.ts';

let stores: BlobPolicyStores;

beforeAll(async () => {
  stores = await startBlobPolicyStores();
});

afterAll(async () => stores.close());

const credential = { getToken: () => new Promise<never>(() => {}) };

describePolicySource('openPolicyBlobs', async () => stores.open());

describe('openPolicyBlobs', () => {
  test('does not read more than a sound blob may hold', async () => {
    const { source, write } = await stores.open();
    await write('current', 'x'.repeat(pointerBytes + 1));
    await write('bundles/large.json', 'x'.repeat(bundleBytes + 1));

    await expect(source.readPointer()).rejects.toThrow('current');
    await expect(source.readBundle('large')).rejects.toThrow('large');

    await write('current', 'x'.repeat(pointerBytes));
    expect(await source.readPointer()).toMatchObject({ text: 'x'.repeat(pointerBytes) });
  });

  test('says what the service answered, and holds no credential', async () => {
    const { source } = await stores.open();

    const failure: unknown = await source.readPointer().catch((error: unknown) => error);

    const shown = inspect(failure, { depth: 20, showHidden: true });
    expect(shown).toContain('status 404, BlobNotFound');
    expect(shown).not.toMatch(/authorization|SharedKey/i);
  });

  test.each([
    'http://example.com/policies',
    'http://10.0.0.4/policies',
    'ftp://127.0.0.1/policies',
  ])('does not open %s, where policies or tokens could be read', (url) => {
    expect(() => openPolicyBlobs({ url: new URL(url), credential })).toThrow('https:');
  });

  const faults: readonly WireFault[] = [
    'request-lost',
    'answer-lost',
    'answer-halved',
    'answer-hangs',
    500,
    503,
  ];

  // The library would otherwise try for minutes, and take half an answer for the whole.
  test.each(faults)('fails within seconds after a fault on the wire (%s)', async (fault) => {
    const store = await stores.open();
    const digest = await publish(store, sets.open);
    let isBroken = true;
    const proxy = await startFaultProxy(store.url, () => (isBroken ? fault : undefined));
    const source = openPolicyBlobs({ url: proxy.url, credential });
    const start = performance.now();

    await expect(source.readPointer()).rejects.toThrow('current');
    expect(performance.now() - start).toBeLessThan(4000);

    isBroken = false;
    expect(await source.readBundle(digest)).toContain('permit');
    await proxy.close();
  });

  test('does not wait for a credential that never answers', async () => {
    const url = new URL('https://127.0.0.1:1/policies');
    const start = performance.now();

    await expect(openPolicyBlobs({ url, credential }).readPointer()).rejects.toThrow('current');

    expect(performance.now() - start).toBeLessThan(4000);
  });
});

describe('a process that follows a container', () => {
  const engine = createPolicyEngine();
  const worker = new URL('../../lib/policy-worker.ts', import.meta.url);

  async function follow() {
    const store = await stores.open();
    const audit = memoryAudit();
    const following = followPolicy({
      audit,
      source: store.source,
      check: async (files) => checkIsolated(files, { worker, signal: AbortSignal.timeout(20_000) }),
      load: (files) => loadPolicy(files, engine, () => undefined),
    });
    return { ...following, store, audit };
  }

  test('takes what is sound, rejects what is not, and goes on deciding', async () => {
    const { store, current, audit, logged } = await follow();
    await publish(store, sets.open);
    await current.refresh();
    for (const set of [sets.faulty, sets.hostile]) {
      await publish(store, set);
      for (let looks = 0; looks < 3; looks += 1) await current.refresh();
      expect(decide(current)).toBe('allow');
    }
    await publish(store, sets.shut);
    await current.refresh();

    expect(decide(current)).toBe('deny');
    expect(audit.entries.map(({ type }) => type)).toEqual([
      'policy.published',
      'policy.rejected',
      'policy.rejected',
      'policy.published',
    ]);
    expect(logged).toEqual(['policy.taken', 'policy.rejected', 'policy.rejected', 'policy.taken']);
  });

  test('keeps the last good set when the pointer is deleted', async () => {
    const { store, current } = await follow();
    await publish(store, sets.open);
    await current.refresh();

    await store.remove('current');
    await current.refresh();

    expect(decide(current)).toBe('allow');
  });

  // As much as the limits let through: the check must end in time, and the thread with it.
  test('takes the largest set that is allowed', async () => {
    const { store, current } = await follow();
    const filler = ' '.repeat(900);
    const policies = Array.from(
      { length: 1000 },
      (_, n) => `@id("p${n}") permit (principal, action, resource) when { context.port == ${n} };`,
    );
    const files = Array.from({ length: 10 }, (_, n) => ({
      name: `${n}.cedar`,
      text: policies.slice(n * 100, n * 100 + 100).join(`${filler}\n`),
    }));
    const digest = await publish(store, files);

    await current.refresh();

    expect(current.policy.digest).toBe(digest);
    expect(decide(current)).toBe('allow');
  });
});
