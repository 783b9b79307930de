import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Tables } from '../../local/azurite.ts';
import { startTables } from '../../local/azurite.ts';
import { sealAndKill } from '../support/seal-and-kill.ts';
import { sealUnderFaults } from '../support/seal-under-faults.ts';
import { testRoot } from '../support/test-broker.ts';

const sound = {
  missing: 0,
  storedTwice: 0,
  checked: { unsealed: 0 },
  indexGaps: [],
  faults: 0,
};

// Threats 23 and 24. The long form is in `test/soak`.
describe('four writers and two sealers', () => {
  let folder: string;
  let tables: Tables;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-seal-'));
    tables = await startTables({ folder, port: 0 });
  });

  afterAll(async () => {
    await tables.close();
    await rm(folder, { recursive: true });
  });

  test.each([0, 7, 29, 59])(
    'lose nothing acknowledged, store nothing twice, fork nothing, and seal all in the end, with %i of 100 calls failing',
    async (percent) => {
      const place = { url: new URL(tables.url), name: `faults${percent}`, root: testRoot() };

      const outcome = await sealUnderFaults(place, percent, 10);

      expect(outcome).toMatchObject(sound);
      expect(outcome.acknowledged).toBeGreaterThan(10);
    },
  );

  test('seal all in the end, when sealers are killed at any time', async () => {
    const outcome = await sealAndKill(new URL(tables.url), 'killed', 8);

    expect(outcome).toMatchObject(sound);
    expect(outcome.early).toBeGreaterThan(1);
  });
});
