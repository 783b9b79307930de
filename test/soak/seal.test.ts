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

describe('the long form of sealing in trouble', () => {
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

  test.each([1, 7, 15, 29, 59])('with %i of 100 calls failing', async (percent) => {
    const place = { url: new URL(tables.url), name: `faults${percent}`, root: testRoot() };

    expect(await sealUnderFaults(place, percent, 150)).toMatchObject(sound);
  });

  test('with two hundred deaths', async () => {
    expect(await sealAndKill(new URL(tables.url), 'killed', 200)).toMatchObject(sound);
  });
});
