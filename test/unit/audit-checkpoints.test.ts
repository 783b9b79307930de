import { describe, expect, test } from 'vitest';
import { findLastCheckpoint } from '../../lib/find-checkpoint.ts';
import { call } from '../support/call.ts';
import { auditor, openExportBench } from '../support/export-bench.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { ada } from '../support/test-broker.ts';

collectLogLines();

describe('GET /api/audit/checkpoints', () => {
  const checkpoints = '/api/audit/checkpoints';

  async function openSealed(count: number) {
    const bench = openExportBench();
    for (let n = 0; n < count; n += 1) await bench.seal();
    return { ...bench.broker, identify: async () => auditor };
  }

  test('200 with the newest, oldest first', async () => {
    const broker = await openSealed(30);

    const newest = await call(broker, 'GET', checkpoints, { token: 'ada', query: { limit: '2' } });

    expect(newest).toMatchObject({ status: 200, body: { value: [{ n: 29 }, { n: 30 }] } });
    expect(newest.body).not.toHaveProperty('nextLink');
  });

  test('200 from a number on, with a link to the next page', async () => {
    const broker = await openSealed(5);
    const query = { from: '2', limit: '2' };

    const page = await call(broker, 'GET', checkpoints, { token: 'ada', query });

    expect(page.body).toMatchObject({
      value: [{ n: 2 }, { n: 3 }],
      nextLink: 'https://broker.test/api/audit/checkpoints?from=4&limit=2',
    });
  });

  test('200 with nothing where nothing is sealed', async () => {
    const broker = await openSealed(0);

    expect(await call(broker, 'GET', checkpoints, { token: 'ada' })).toMatchObject({
      status: 200,
      body: { value: [] },
    });
  });

  test('400 for a number that is none', async () => {
    const broker = await openSealed(1);

    for (const query of [{ from: '0' }, { from: 'x' }, { limit: '1000' }])
      expect(await call(broker, 'GET', checkpoints, { token: 'ada', query })).toMatchObject({
        status: 400,
      });
  });

  test('403 without the role', async () => {
    const broker = { ...(await openSealed(1)), identify: async () => ada };

    expect(await call(broker, 'GET', checkpoints, { token: 'ada' })).toMatchObject({ status: 403 });
  });
});

describe('findLastCheckpoint', () => {
  test('finds the last one, and the last one of a time, whatever their number', async () => {
    const bench = openExportBench();
    const start = bench.clock.now().getTime();

    expect(await findLastCheckpoint(bench.table.list)).toBe(0);
    for (let n = 1; n <= 20; n += 1) {
      await bench.seal();
      bench.clock.pass(60);
      expect(await findLastCheckpoint(bench.table.list)).toBe(n);
    }
    for (let n = 0; n <= 20; n += 1)
      expect(await findLastCheckpoint(bench.table.list, new Date(start + n * 60_000 - 1))).toBe(n);
  });

  test('finds it though checkpoints before it were removed', async () => {
    const bench = openExportBench();
    for (let n = 1; n <= 20; n += 1) await bench.seal();
    for (const n of [1, 2, 4, 8, 16, 17, 18, 19])
      await bench.table.remove('cp', String(n).padStart(12, '0'));

    expect(await findLastCheckpoint(bench.table.list)).toBe(20);
  });
});
