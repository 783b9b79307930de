import { expect, test } from 'vitest';
import { verifyExport } from '../../lib/audit-verify.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import { watchHeap } from '../support/heap-growth.ts';
import { makeLargeExport } from '../support/large-export.ts';
import { testRoot } from '../support/test-broker.ts';

const entries = 100_000;

// A million is for `npm run soak`.
test('verifies 100,000 entries in the memory that a tenth of them takes', async () => {
  const root = testRoot();
  const watched = watchHeap(makeLargeExport(root, entries), entries, 0.1);

  const verdict = await verifyExport(watched.items, { roots: toTrustedRoots([root.publicJwk]) });

  expect(verdict).toMatchObject({ outcome: 'whole', entries, sealed: entries, checkpoints: 100 });
  expect(watched.findGrowth()).toBeLessThan(2 * 2 ** 20);
});
