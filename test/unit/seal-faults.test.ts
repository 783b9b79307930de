import { describe, expect, test } from 'vitest';
import type { Receipt } from '../../lib/audit.ts';
import { readAlarms } from '../../lib/audit-alarm.ts';
import type { StoredRow } from '../../lib/table.ts';
import { endSession } from '../support/audit-contract.ts';
import type { SealBench } from '../support/test-sealer.ts';
import { startSealBench } from '../support/test-sealer.ts';

type Broken = { readonly bench: SealBench; readonly chain: string };

/** Two chains of five entries of one batch each, none sealed; the second one is whole. */
async function startChains(): Promise<Broken> {
  const bench = startSealBench();
  const [receipt] = await appendBatch(bench);
  await appendBatch(bench);
  return { bench, chain: receipt?.chain ?? '' };
}

async function appendBatch(bench: SealBench): Promise<readonly Receipt[]> {
  return bench.openWriter().append(['a', 'b', 'c', 'd'].map(endSession));
}

async function readRow({ bench, chain }: Broken, sequence: number): Promise<StoredRow> {
  const row = await bench.audit.find(chain, toKey(sequence));
  if (row === undefined) throw new Error('no such entry');
  return row;
}

function toKey(sequence: number): string {
  return String(sequence).padStart(12, '0');
}

async function change(broken: Broken, sequence: number, values: StoredRow['values']) {
  const row = await readRow(broken, sequence);
  await broken.bench.audit.put([{ ...row, values: { ...row.values, ...values } }]);
}

const attacks: readonly (readonly [
  string,
  number | undefined,
  string,
  (broken: Broken) => Promise<void>,
])[] = [
  [
    'a body is changed',
    3,
    'entry-altered',
    async (broken) => {
      const { values } = await readRow(broken, 3);
      await change(broken, 3, { b: String(values['b']).replace('deadline', 'policy') });
    },
  ],
  [
    'a hash is changed',
    2,
    'entry-altered',
    async (broken) => change(broken, 2, { h: 'A'.repeat(43) }),
  ],
  [
    'an entry is taken out',
    3,
    'entry-missing',
    async ({ bench, chain }) => bench.audit.remove(chain, toKey(3)),
  ],
  [
    'two entries change places',
    2,
    'entry-moved',
    async (broken) => {
      const [two, three] = [await readRow(broken, 2), await readRow(broken, 3)];
      const { partition } = two;
      await broken.bench.audit.put([
        { partition, row: two.row, values: three.values },
        { partition, row: three.row, values: two.values },
      ]);
    },
  ],
  [
    'an entry of another chain is put in',
    6,
    'entry-moved',
    async ({ bench, chain }) => {
      const [receipt] = await appendBatch(bench);
      const foreign = await bench.audit.find(receipt?.chain ?? '', toKey(5));
      await bench.audit.insert({
        partition: chain,
        row: toKey(6),
        values: foreign?.values ?? {},
      });
    },
  ],
  [
    'the signature is that of another batch',
    5,
    'entry-forged',
    async (broken) => {
      const [receipt] = await appendBatch(broken.bench);
      const foreign = await broken.bench.audit.find(receipt?.chain ?? '', toKey(5));
      await change(broken, 5, { s: foreign?.values['s'] ?? '' });
    },
  ],
  [
    'a key is not one of an entry',
    0,
    'entry-misplaced',
    async ({ bench, chain }) => {
      const last = await bench.audit.find(chain, toKey(5));
      await bench.audit.insert({ partition: chain, row: '5', values: last?.values ?? {} });
    },
  ],
  [
    'the announcement names another writer',
    1,
    'chain-altered',
    async ({ bench, chain }) => {
      const row = await bench.audit.find('chains|20260302', chain);
      if (row === undefined) throw new Error('no announcement');
      await bench.audit.put([{ ...row, values: { ...row.values, writer: 'somebody' } }]);
    },
  ],
  [
    'the endorsement is not signed by the root key',
    undefined,
    'chain-untrusted',
    async ({ bench, chain }) => {
      const row = await bench.audit.find('chains|20260302', chain);
      if (row === undefined) throw new Error('no announcement');
      const { endorsement } = row.values;
      const text = String(endorsement).replace(/.{10}$/, 'AAAAAAAAAA');
      await bench.audit.put([{ ...row, values: { ...row.values, endorsement: text } }]);
    },
  ],
];

describe('a sealer, when', () => {
  test.each(attacks)('%s, names entry %i (%s), and seals the other chains', async (...attack) => {
    const [, sequence, code, act] = attack;
    const broken = await startChains();
    const { bench, chain } = broken;
    await act(broken);

    const run = await bench.openSealer().seal();

    expect(run.faults).toBe(1);
    expect(run.entries).toBeGreaterThanOrEqual(5);
    expect(bench.findFaults()).toMatchObject([
      sequence === undefined ? { code, chain } : { code, chain, sequence },
    ]);
    expect(findHeads(bench)).not.toContain(chain);
    expect(await readAlarms(bench.index)).toMatchObject([{ code, chain, acknowledged: false }]);
  });

  test('the last entries are cut off, finds that out by the last one that was sealed', async () => {
    const broken = await startChains();
    const { bench, chain } = broken;
    const sealer = bench.openSealer();
    await sealer.seal();
    await bench.audit.remove(chain, toKey(5));

    await sealer.seal();

    expect(bench.findFaults()).toMatchObject([{ code: 'chain-truncated', chain, sequence: 5 }]);
  });

  test('a sealed entry is replaced by one that is whole by itself, finds that out', async () => {
    const broken = await startChains();
    const { bench, chain } = broken;
    await bench.openSealer().seal();
    const row = await readRow(broken, 5);
    await bench.audit.put([{ ...row, values: { ...row.values, h: 'A'.repeat(43) } }]);

    await bench.openSealer().seal();

    expect(bench.findFaults()).toMatchObject([{ code: 'entry-forked', chain, sequence: 5 }]);
  });

  test('an announcement is taken away after it was sealed, says which', async () => {
    const { bench, chain } = await startChains();
    await bench.openSealer().seal();
    await bench.audit.remove('chains|20260302', chain);

    await bench.openSealer().seal();

    expect(bench.findFaults()).toMatchObject([{ code: 'chain-missing', chain }]);
  });

  test('a chain is announced on two days, seals it once', async () => {
    const { bench, chain } = await startChains();
    const row = await bench.audit.find('chains|20260302', chain);
    await bench.audit.insert({
      partition: 'chains|20260301',
      row: chain,
      values: row?.values ?? {},
    });

    const run = await bench.openSealer().seal();

    expect(run).toMatchObject({ entries: 10, faults: 1 });
    expect(bench.findFaults()).toMatchObject([{ code: 'chain-misplaced', chain }]);
    expect(findHeads(bench).filter((head) => head === chain)).toEqual([chain]);
  });

  // The last batch was taken away before anybody had sealed it; the writer knows, and says so in its next chain.
  test('a chain goes on from more than there is, names the chain that was cut', async () => {
    const bench = startSealBench();
    const writer = bench.openWriter();
    const [receipt] = await writer.append([endSession('a')]);
    const [cut] = await writer.append([endSession('b')]);
    const { chain = '' } = receipt ?? {};
    bench.clock.pass(12 * 3600);
    await writer.append([endSession('c')]);
    await bench.audit.remove(chain, toKey((cut?.sequence ?? 0) + 1));
    await bench.audit.remove(chain, toKey(cut?.sequence ?? 0));

    const run = await bench.openSealer().seal();

    expect(run.entries).toBe(4);
    expect(bench.findFaults()).toMatchObject([{ code: 'chain-unlinked', chain }]);
  });

  test('something is stored in a form that no entry has, goes on with the other chains', async () => {
    const { bench, chain } = await startChains();
    const audit = {
      ...bench.audit,
      list: async (...args: Parameters<typeof bench.audit.list>) => {
        if (args[0] === chain) throw new Error('x came from the table as a type that no row has');
        return bench.audit.list(...args);
      },
    };

    const run = await bench.openSealer({ audit }).seal();

    expect(run).toMatchObject({ checkpoint: 1, entries: 5, faults: 1 });
  });

  test('entries at the end are unsigned, waits a minute for the rest of their batch', async () => {
    const { bench, chain } = await startChains();
    const last = await bench.audit.find(chain, toKey(5));
    await bench.audit.remove(chain, toKey(5));
    const sealer = bench.openSealer();

    const early = await sealer.seal();
    bench.clock.pass(59);
    await sealer.seal();
    const before = bench.findFaults();
    bench.clock.pass(1);
    await sealer.seal();

    expect(early).toMatchObject({ entries: 5, faults: 0 });
    expect(before).toEqual([]);
    expect(bench.findFaults()).toMatchObject([{ code: 'entry-unsigned', chain, sequence: 1 }]);
    if (last !== undefined) await bench.audit.insert(last);
    expect(await sealer.seal()).toMatchObject({ entries: 5, faults: 0 });
  });
});

function findHeads({ audit }: SealBench): readonly string[] {
  return audit
    .rows()
    .filter(({ partition }) => partition === 'cp')
    .flatMap(({ values }) => String(values['b']).match(/\d{8}-[0-9a-f]{16}/g) ?? []);
}
