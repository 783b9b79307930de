import { expect, test } from 'vitest';
import { verifyExport } from '../../lib/audit-verify.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import { watchHeap } from '../support/heap-growth.ts';
import { makeLargeExport } from '../support/large-export.ts';
import { testRoot } from '../support/test-broker.ts';

const entries = 1_000_000;

test('verifies a million entries in the memory that a tenth of them takes', async () => {
  const root = testRoot();
  const watched = watchHeap(makeLargeExport(root, entries), entries, 0.1);

  const verdict = await verifyExport(watched.items, { roots: toTrustedRoots([root.publicJwk]) });

  expect(verdict).toMatchObject({ outcome: 'whole', entries, sealed: entries, checkpoints: 1000 });
  expect(watched.findGrowth()).toBeLessThan(2 * 2 ** 20);
});
