import { describe, expect, test } from 'vitest';
import type { Table } from '../../lib/table.ts';
import { endSession } from '../support/audit-contract.ts';
import { findIndexGaps } from '../support/index-scan.ts';
import type { SealBench } from '../support/test-sealer.ts';
import { startSealBench } from '../support/test-sealer.ts';
import { wrapTable } from '../support/wrapped-table.ts';

const day = 86_400;

describe('a sealer', () => {
  test('seals every entry of every chain once, and says how many', async () => {
    const bench = startSealBench();
    const sealer = bench.openSealer();
    const writers = [bench.openWriter(), bench.openWriter()];
    for (const writer of writers) await writer.append([endSession('a'), endSession('b')]);

    const first = await sealer.seal();
    await writers[0]?.append([endSession('c')]);
    const second = await sealer.seal();

    expect(first).toEqual({ checkpoint: 1, entries: 6, faults: 0 });
    expect(second).toEqual({ checkpoint: 2, entries: 1, faults: 0 });
    expect(await bench.check()).toEqual({ checkpoints: 2, sealed: 7, unsealed: 0 });
    expect(findIndexGaps(bench.audit.rows(), bench.index.rows())).toEqual([]);
  });

  test('reads a chain on where a page of it ends in the middle of a batch', async () => {
    const bench = startSealBench();
    await bench.openWriter().append(Array.from({ length: 1234 }, (_, i) => endSession(String(i))));

    expect(await bench.openSealer().seal()).toMatchObject({ entries: 1235, faults: 0 });
    expect(await bench.check()).toMatchObject({ sealed: 1235 });
  });

  test('makes no checkpoint when nothing is new, but for one in an hour', async () => {
    const bench = startSealBench();
    const sealer = bench.openSealer();
    await sealer.seal();
    await bench.openWriter().append([endSession('a')]);
    await sealer.seal();

    bench.clock.pass(3599);
    const early = await sealer.seal();
    bench.clock.pass(1);
    const late = await sealer.seal();

    expect([early.checkpoint, late.checkpoint]).toEqual([undefined, 2]);
    expect(await bench.check()).toMatchObject({ checkpoints: 2, unsealed: 0 });
  });

  test('signs once for all that is new, and not when another was faster', async () => {
    const bench = startSealBench();
    let signed = 0;
    const root = {
      ...bench.parts.root,
      sign: async (data: Buffer) => {
        signed += 1;
        return bench.parts.root.sign(data);
      },
    };
    for (let i = 0; i < 5; i += 1) await bench.openWriter().append([endSession(String(i))]);
    const sealer = bench.openSealer({ root });

    await sealer.seal();
    await sealer.seal();

    expect(signed).toBe(1);
  });

  test('goes on in time when its clock is behind', async () => {
    const bench = startSealBench();
    const writer = bench.openWriter();
    await writer.append([endSession('a')]);
    await bench.openSealer().seal();
    await writer.append([endSession('b')]);

    const now = () => new Date(bench.clock.now().getTime() - 60_000);
    await bench.openSealer({ now }).seal();

    expect(await bench.openSealer().seal()).toMatchObject({ faults: 0 });
    expect(await bench.check()).toMatchObject({ checkpoints: 2, unsealed: 0 });
  });
});

describe('a sealer that comes late', () => {
  test('seals a log that is older than itself from its first day on', async () => {
    const bench = startSealBench();
    bench.clock.pass(-3600);
    for (let i = 0; i < 3; i += 1) await bench.openWriter().append([endSession(String(i))]);
    bench.clock.pass(300 * day);

    expect(await bench.openSealer().seal()).toMatchObject({ entries: 6 });
    expect(await bench.check()).toMatchObject({ unsealed: 0 });
  });

  test('goes on with the days that it was away', async () => {
    const bench = startSealBench();
    await bench.openWriter().append([endSession('0')]);
    await bench.openSealer().seal();
    await bench.openWriter().append([endSession('a')]);
    bench.clock.pass(20 * day);

    expect(await bench.openSealer().seal()).toMatchObject({ checkpoint: 2, entries: 2 });
  });

  // A writer stores what it was not certain of within an hour, and its key is good for a day.
  test('looks at the chains of two days before the last one that it had come to', async () => {
    const bench = startSealBench();
    const sealer = bench.openSealer();
    const old = bench.openWriter();
    await old.append([endSession('old')]);
    await sealer.seal();
    const rows = bench.audit.rows().filter(({ partition }) => partition !== 'cp');
    for (const hours of [12, 24, 23]) {
      bench.clock.pass(hours * 3600);
      await sealer.seal();
    }
    const late = startSealBench();
    await late.openWriter().append([endSession('late')]);
    for (const row of late.audit.rows()) await bench.audit.insert(row);

    await sealer.seal();

    expect(rows).toHaveLength(3);
    expect(await bench.check()).toMatchObject({ sealed: 4, unsealed: 0 });
  });

  test.each([1, 2, 3, 5, 8])(
    'ends a run that takes too long after %i looks, and goes on',
    async (looks) => {
      const bench = startSealBench();
      bench.clock.pass(-11 * 3600);
      await bench.openWriter().append([endSession('0')]);
      await bench.openSealer().seal();
      for (let i = 0; i < 6; i += 1) {
        await bench.openWriter().append([endSession(String(i))]);
        bench.clock.pass(2 * 3600);
      }
      bench.clock.pass(10 * day);
      let seconds = 0;
      const now = () => {
        seconds += 20 / looks;
        return new Date(bench.clock.now().getTime() + seconds * 1000);
      };
      const sealers = [bench.openSealer({ now }), bench.openSealer({ now })];

      let runs = 0;
      for (let isOver = false; !isOver; runs += 1)
        isOver = (await sealers[runs % 2]?.seal())?.checkpoint === undefined;

      expect(await bench.check()).toMatchObject({ sealed: 14, unsealed: 0 });
      expect(bench.findFaults()).toEqual([]);
    },
  );
});

describe('what a run costs', () => {
  function countLists(bench: SealBench) {
    const lists: string[] = [];
    const { audit } = bench;
    const counted: Table = {
      ...wrapTable(audit, async (act) => act()),
      list: async (partition, range) => {
        lists.push(partition);
        return audit.list(partition, range);
      },
    };
    return { lists, sealer: bench.openSealer({ audit: counted }) };
  }

  test('does not grow with what was sealed before', async () => {
    const bench = startSealBench();
    const { lists, sealer } = countLists(bench);
    const counts: number[] = [];
    for (let i = 0; i < 30; i += 1) {
      const writer = bench.openWriter();
      await writer.append([endSession('a')]);
      await writer.close();
      lists.length = 0;
      await sealer.seal();
      counts.push(lists.length);
    }

    // The checkpoints, three days, the new chain; and what there is to copy.
    expect(Math.max(...counts.slice(1))).toBeLessThanOrEqual(6);
  });

  test('stays small with many chains that nobody will ever end', async () => {
    const bench = startSealBench();
    const { lists, sealer } = countLists(bench);
    for (let i = 0; i < 200; i += 1) await bench.openWriter().append([endSession('a')]);
    await sealer.seal();
    const looks: number[] = [];
    for (let run = 0; run < 8; run += 1) {
      lists.length = 0;
      await sealer.seal();
      looks.push(lists.filter((partition) => /^\d{8}-/.test(partition)).length);
    }

    expect(Math.max(...looks)).toBeLessThan(80);
    // Each of them is looked at in one of eight runs.
    expect(looks.reduce((sum, count) => sum + count, 0)).toBe(8 * 32 + 168);
  });

  test('at the first run of a process follows two days and not all that was sealed', async () => {
    const bench = startSealBench();
    const sealer = bench.openSealer();
    for (let i = 0; i < 24 * 9; i += 1) {
      if (i % 24 === 0) await bench.openWriter().append([endSession('a')]);
      await sealer.seal();
      bench.clock.pass(3600);
    }
    const { lists, sealer: fresh } = countLists(bench);

    await fresh.seal();

    expect(lists.filter((partition) => partition === 'cp').length).toBeLessThan(30);
    expect(await bench.check()).toMatchObject({ unsealed: 0 });
  });
});
