import { describe, expect, test } from 'vitest';
import { openCheckpointCopier } from '../../lib/checkpoint-copies.ts';
import { endSession } from '../support/audit-contract.ts';
import { memoryCopies, startSealBench } from '../support/test-sealer.ts';

async function startSealed(count: number) {
  const bench = startSealBench();
  const writer = bench.openWriter();
  const sealer = bench.openSealer();
  const sealNext = async () => {
    await writer.append([endSession('a')]);
    return sealer.seal();
  };
  for (let n = 0; n < count; n += 1) await sealNext();
  return { ...bench, sealer, sealNext };
}

describe('the copies of checkpoints', () => {
  test('are lines of an export', async () => {
    const { audit, copies } = await startSealed(1);
    const row = await audit.find('cp', '000000000001');
    const { b, h, s, kid } = row?.values ?? {};

    expect(JSON.parse(copies.texts.get(1) ?? '')).toEqual({
      line: 'checkpoint',
      n: 1,
      b,
      h,
      s,
      kid,
    });
  });

  test('are made up for when the container is back', async () => {
    let isDown = false;
    const copies = memoryCopies(() => {
      if (isDown) throw new Error('down');
    });
    const bench = startSealBench();
    const writer = bench.openWriter();
    const sealer = bench.openSealer({ copies });
    isDown = true;
    for (let n = 0; n < 3; n += 1) {
      await writer.append([endSession('a')]);
      expect(await sealer.seal()).toMatchObject({ checkpoint: n + 1 });
    }
    isDown = false;

    await sealer.seal();

    expect([...copies.texts.keys()]).toEqual([1, 2, 3]);
    expect(bench.logged.map(({ event }) => event)).toContain('checkpoint.not-copied');
  });

  test.each([0, 1, 2, 3, 7, 8, 9, 10])(
    'are made from the first missing one on by a new process, when %i of ten are there',
    async (there) => {
      const { audit, copies } = await startSealed(10);
      const some = memoryCopies();
      for (let n = 1; n <= there; n += 1) await some.add(n, copies.texts.get(n) ?? '');

      const fault = await openCheckpointCopier(audit.list, some).copyUpTo(10);

      expect(fault).toBeUndefined();
      expect(some.texts).toEqual(copies.texts);
    },
  );

  test('are an alarm when one says something else, and nothing more is sealed', async () => {
    const bench = await startSealed(2);
    bench.copies.texts.set(2, bench.copies.texts.get(1) ?? '');
    await bench.openWriter().append([endSession('b')]);

    const run = await bench.openSealer().seal();

    expect(run).toMatchObject({ checkpoint: undefined, faults: 1 });
    expect(bench.findFaults()).toMatchObject([{ code: 'checkpoint-forked', checkpoint: 2 }]);
  });

  // Whoever cuts the table back to before an entry was sealed would have the sealer tell another story.
  test('are an alarm when there is one that the table has lost', async () => {
    const bench = await startSealed(3);
    await bench.audit.remove('cp', '000000000003');

    const run = await bench.openSealer().seal();

    expect(run).toMatchObject({ checkpoint: undefined, faults: 1 });
    expect(bench.findFaults()).toMatchObject([{ code: 'checkpoint-missing', checkpoint: 3 }]);
    expect(await bench.audit.find('cp', '000000000003')).toBeUndefined();
  });
});
