import { describe, expect, test } from 'vitest';
import { exportAudit } from '../../lib/audit-export.ts';
import { endSession } from '../support/audit-contract.ts';
import {
  auditor,
  logDays,
  openExportBench,
  parseLines,
  readNext,
  verifyLines,
  writeLog,
  writeLongLog,
} from '../support/export-bench.ts';
import { ada, memoryAudit } from '../support/test-broker.ts';

async function openLog() {
  const bench = openExportBench();
  await writeLog(bench);
  return bench;
}

async function openLongLog(entries: number) {
  const bench = openExportBench();
  await writeLongLog(bench, entries);
  return bench;
}

describe('exportAudit', () => {
  test('parts a long log into pages of 4 MiB that make a whole file', async () => {
    const bench = await openLongLog(100);
    const pages: string[] = [];
    let after: string | undefined;
    do {
      const page = await exportAudit(bench.broker, auditor, {
        from: '2026-03-02',
        ...(after && { after }),
      });
      pages.push(page);
      after = page.includes('"line":"next"') ? readNext(page) : undefined;
    } while (after !== undefined);

    const sizes = pages.map((page) => Buffer.byteLength(page));
    expect(pages).toHaveLength(3);
    expect(Math.max(...sizes)).toBeLessThan(4 * 2 ** 20 + 8192);
    // One after the other they are a file, as `curl` would put them there.
    const lines = pages.join('').trimEnd().split('\n');
    expect(await verifyLines(lines, bench.trust)).toMatchObject({
      outcome: 'whole',
      entries: 101,
    });
  });

  test('says how far it has come, and never less than before', async () => {
    const bench = await openLongLog(100);
    const seen: number[] = [];
    let page = await exportAudit(bench.broker, auditor, { from: '2026-03-02' });
    while (page.includes('"line":"next"')) {
      const last = parseLines(page.trimEnd().split('\n')).at(-1);
      seen.push(last?.line === 'next' ? last.progress : Number.NaN);
      const after = readNext(page);
      page = await exportAudit(bench.broker, auditor, { from: '2026-03-02', after });
    }

    expect(seen).toEqual(seen.toSorted((one, other) => one - other));
    expect(seen.every((share) => 0 <= share && share <= 1)).toBe(true);
  });

  test('ends a page after ten seconds and goes on where it ended', async () => {
    const bench = await openLog();
    const start = bench.clock.now();
    const slow = {
      ...bench.broker,
      now: () => {
        bench.clock.pass(1);
        return bench.clock.now();
      },
    };

    const first = await exportAudit(slow, auditor, logDays);
    const [header] = parseLines(first.split('\n').slice(0, 1));

    expect(first.split('\n').length).toBeLessThan(16);
    expect(header).toMatchObject({ line: 'header' });
    const rest = await bench.read({ ...logDays, asOf: start.toISOString() });
    expect(rest.slice(1, 5)).toEqual(first.split('\n').slice(1, 5));
  });

  test('records who exports what before the first page, and once', async () => {
    const bench = await openLongLog(50);
    const audit = { ...memoryAudit(), list: bench.table.list };
    const broker = { ...bench.broker, audit };

    const page = await exportAudit(broker, auditor, { from: '2026-03-02' });
    await exportAudit(broker, auditor, { from: '2026-03-02', after: readNext(page) });

    expect(audit.entries).toEqual([
      {
        type: 'audit.exported',
        caller: { id: ada.id, name: ada.name },
        from: '2026-03-02',
        to: '2026-03-02',
      },
    ]);
  });

  // Its `after` may name an entry of a chain that was read before that was stored.
  test('leaves out what was opened after it began, whatever is stored while it runs', async () => {
    const bench = openExportBench();
    bench.clock.pass(3600);
    const writer = bench.openWriter('writer-1');
    await writer.append([endSession('a')]);
    await bench.seal();
    bench.clock.pass(3600);
    const asOf = bench.clock.now().toISOString();
    await writer.append([endSession('b')]);
    bench.clock.pass(11 * 3600);
    await writer.append([endSession('c')]);
    await bench.seal();
    bench.clock.pass(60);

    const file = parseLines(await bench.read({ ...logDays, asOf }));

    expect(file.filter(({ line }) => line === 'chain')).toHaveLength(1);
    expect(file.filter(({ line }) => line === 'checkpoint')).toHaveLength(1);
    expect(file.filter(({ line }) => line === 'entry')).toHaveLength(3);
  });

  test('tells what is stored as it is, however wrong', async () => {
    const bench = await openLog();
    const [, , entry] = bench.table.rows();
    if (entry === undefined) throw new Error('there is no row');
    await bench.table.put([{ ...entry, row: `${entry.row}x`, values: { b: '{', h: 1 } }]);

    const file = await bench.read(logDays);

    expect(await verifyLines(file, bench.trust)).toMatchObject({
      outcome: 'broken',
      fault: { code: 'entry-misplaced', chain: entry.partition },
    });
  });

  test('exports the rest when a row cannot be read, and shows that one is broken', async () => {
    const bench = await openLog();
    const [first] = bench.table.rows();
    const list: typeof bench.table.list = async (partition, range) => {
      const rows = await bench.table.list(partition, range);
      if (rows.some(({ row }) => partition === first?.partition && Number(row) > 2))
        throw new Error('a value came from the table as a type that no row has');
      return rows;
    };
    const broker = { ...bench.broker, audit: { ...memoryAudit(), list } };

    const lines = (await exportAudit(broker, auditor, logDays)).trimEnd().split('\n');

    expect(lines.filter((line) => line.includes('"line":"chain"'))).toHaveLength(3);
    expect(await verifyLines(lines, bench.trust)).toMatchObject({
      fault: { code: 'entry-misplaced', chain: first?.partition, sequence: 0 },
    });
  });
});
