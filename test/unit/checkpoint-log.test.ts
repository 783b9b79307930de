import { describe, expect, test } from 'vitest';
import { openCheckpointLog } from '../../lib/checkpoint-log.ts';
import type { Checkpoint } from '../../lib/checkpoint.ts';
import { signCheckpoint, toCheckpointRow } from '../../lib/checkpoint.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { endSession } from '../support/audit-contract.ts';
import { testRoot } from '../support/test-broker.ts';
import type { SealBench } from '../support/test-sealer.ts';
import { issuer, startSealBench } from '../support/test-sealer.ts';

/** A log with so many checkpoints, each of one more entry. */
async function startLog(count: number): Promise<SealBench> {
  const bench = startSealBench();
  const writer = bench.openWriter();
  const sealer = bench.openSealer();
  for (let n = 0; n < count; n += 1) {
    await writer.append([endSession(String(n))]);
    await sealer.seal();
  }
  return bench;
}

function openLog({ audit, parts, clock }: SealBench) {
  return openCheckpointLog({ list: audit.list, trust: parts.trust, now: clock.now });
}

async function put(bench: SealBench, changes: Partial<Checkpoint>, root: RootKey): Promise<void> {
  const time = bench.clock.now().toISOString();
  const usual: Checkpoint = { v: 1, n: 4, time, issuer, prev: null, entries: 5, heads: [] };
  const signed = await signCheckpoint(root, { ...usual, ...changes });
  await bench.audit.put([toCheckpointRow(signed)]);
}

function toKey(n: number): string {
  return String(n).padStart(12, '0');
}

async function findHash({ audit }: SealBench, n: number): Promise<string> {
  return String((await audit.find('cp', toKey(n)))?.values['h']);
}

const attacks: readonly (readonly [string, string, number, (bench: SealBench) => Promise<void>])[] =
  [
    [
      'one is changed',
      'checkpoint-altered',
      3,
      async ({ audit }) => {
        const row = await audit.find('cp', toKey(3));
        const b = String(row?.values['b']).replace('"entries":4', '"entries":9');
        if (row !== undefined) await audit.put([{ ...row, values: { ...row.values, b } }]);
      },
    ],
    [
      'one is taken out',
      'checkpoint-missing',
      2,
      async ({ audit }) => audit.remove('cp', toKey(2)),
    ],
    [
      'one is put in that says nothing',
      'checkpoint-altered',
      4,
      async ({ audit }) =>
        void (await audit.insert({ partition: 'cp', row: toKey(4), values: {} })),
    ],
    [
      'one is put in far ahead',
      'checkpoint-missing',
      4,
      async (bench) => put(bench, { n: 9 }, bench.parts.root),
    ],
    [
      'one is signed with another key',
      'checkpoint-untrusted',
      4,
      async (bench) => put(bench, { prev: await findHash(bench, 3) }, testRoot()),
    ],
    [
      'one is for another broker',
      'checkpoint-untrusted',
      4,
      async (bench) =>
        put(bench, { prev: await findHash(bench, 3), issuer: 'https://x.test' }, bench.parts.root),
    ],
    [
      'one follows another than the last',
      'checkpoint-unlinked',
      4,
      async (bench) => put(bench, { prev: await findHash(bench, 2) }, bench.parts.root),
    ],
    [
      'one counts less than the last',
      'checkpoint-contradicts',
      4,
      async (bench) => put(bench, { prev: await findHash(bench, 3), entries: 3 }, bench.parts.root),
    ],
    [
      'one is older than the last',
      'checkpoint-contradicts',
      4,
      async (bench) => {
        const changes = { prev: await findHash(bench, 3), time: '2026-03-01T00:00:00.000Z' };
        await put(bench, changes, bench.parts.root);
      },
    ],
  ];

describe('the checkpoints of a log, when', () => {
  test.each(attacks)('%s, are %s at %i, and nothing is sealed', async (_name, code, n, act) => {
    const bench = await startLog(3);
    await act(bench);
    await bench.openWriter().append([endSession('more')]);

    const run = await bench.openSealer().seal();

    expect(run).toMatchObject({ checkpoint: undefined, faults: 1 });
    // Whoever begins after a gap far ahead can only say that what is there is none of its own.
    const places = code === 'checkpoint-missing' && n === 4 ? {} : { checkpoint: n };
    expect(bench.findFaults()).toMatchObject([places]);
    if (n !== 4) expect(bench.findFaults()).toMatchObject([{ code }]);
  });

  test.each(attacks.filter(([, , n]) => n === 4))(
    '%s, are %s at %i for a process that knows those before, which stays with them',
    async (_name, code, n, act) => {
      const bench = await startLog(3);
      const log = openLog(bench);
      const before = await log.follow();
      await act(bench);

      const { fault, ...known } = await log.follow();
      expect(known).toEqual(before);
      expect(fault).toMatchObject({ code, checkpoint: n });
    },
  );

  test('the last one is taken away or replaced, are missed by who has seen it', async () => {
    const bench = await startLog(3);
    const log = openLog(bench);
    await log.follow();
    const row = await bench.audit.find('cp', toKey(3));
    await bench.audit.remove('cp', toKey(3));
    const gone = await log.follow();
    await put(bench, { n: 3, prev: await findHash(bench, 2) }, bench.parts.root);
    const forked = await log.follow();
    if (row !== undefined) await bench.audit.put([row]);
    const back = await log.follow();

    expect(gone.fault).toMatchObject({ code: 'checkpoint-missing', checkpoint: 3 });
    expect(forked.fault).toMatchObject({ code: 'checkpoint-forked', checkpoint: 3 });
    expect(back.fault).toBeUndefined();
  });
});

describe('a process that begins to follow', () => {
  test.each([0, 1, 2, 3, 4, 5, 499, 500, 501, 1001, 1003])(
    'finds the last of %i checkpoints and all ends of chains',
    async (count) => {
      const bench = startSealBench();
      const { root } = bench.parts;
      let prev: string | null = null;
      for (let n = 1; n <= count; n += 1) {
        const head = { chain: `20260302-${toKey(n)}0000`, seq: 1, hash: 'x', closed: false };
        await put(bench, { n, prev, entries: n, heads: [head] }, root);
        prev = await findHash(bench, n);
      }

      const { last, heads, fault } = await openLog(bench).follow();

      expect({ n: last?.checkpoint.n ?? 0, heads: heads.size, fault }).toEqual({
        n: count,
        heads: count,
        fault: undefined,
      });
    },
  );

  test('knows the ends of the chains that may still grow, and forgets the others', async () => {
    const bench = startSealBench();
    const sealer = bench.openSealer();
    const old = openLog(bench);
    for (let day = 0; day < 6; day += 1) {
      await bench.openWriter().append([endSession(String(day))]);
      await sealer.seal();
      await old.follow();
      bench.clock.pass(86_400);
    }

    const [known, fresh] = [await old.follow(), await openLog(bench).follow()];

    // Five days are over; the sealer had come to the last of them.
    expect(known.firstDay.toISOString()).toBe('2026-03-05T00:00:00.000Z');
    expect([...known.heads.keys()].map((chain) => chain.slice(0, 8))).toEqual([
      '20260305',
      '20260306',
      '20260307',
    ]);
    expect(fresh).toEqual(known);
  });

  test('reads once when many ask at the same time', async () => {
    const bench = await startLog(2);
    let lists = 0;
    const list: typeof bench.audit.list = async (...args) => {
      lists += 1;
      return bench.audit.list(...args);
    };
    const log = openCheckpointLog({ list, trust: bench.parts.trust, now: bench.clock.now });
    await log.follow();
    lists = 0;

    await Promise.all(Array.from({ length: 50 }, async () => log.follow()));

    expect(lists).toBe(1);
  });
});
