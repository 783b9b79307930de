import { beforeAll, describe, expect, test } from 'vitest';
import type { ExportLine } from '../../lib/audit-export-line.ts';
import type { Anchor } from '../../lib/audit-verify-checkpoints.ts';
import { signCheckpoint, toCheckpointRow } from '../../lib/checkpoint.ts';
import { endSession } from '../support/audit-contract.ts';
import { attacks } from '../support/export-attacks.ts';
import type { ExportBench } from '../support/export-bench.ts';
import {
  findHeads,
  formatLines,
  logDays,
  openExportBench,
  parseLines,
  toText,
  verifyLines,
  writeLog,
} from '../support/export-bench.ts';
import { findExportFaults } from '../support/export-verifier.ts';
import { replaceCheckpoint } from '../support/forge-export.ts';

let bench: ExportBench;
let lines: readonly ExportLine[] = [];
let texts: readonly string[] = [];
let anchors: readonly Anchor[] = [];

beforeAll(async () => {
  bench = openExportBench();
  await writeLog(bench);
  texts = await bench.read(logDays);
  lines = parseLines(texts);
  anchors = lines.flatMap((line) =>
    line.line === 'checkpoint' ? [{ n: line.n, hash: line.h }] : [],
  );
});

/** Verifies lines with both verifiers, which must agree. */
async function verify(file: readonly string[], of = bench, anchor?: Anchor) {
  const verdict = await verifyLines(file, { ...of.trust, ...(anchor && { anchor }) });
  const faults = await findExportFaults(toText(file), [of.root.publicJwk], anchor);
  if (verdict.outcome === 'whole') expect(faults).toEqual([]);
  else expect(faults).not.toEqual([]);
  return verdict;
}

describe('verifyExport', () => {
  test('finds an export whole, and says what is sealed and what is not', async () => {
    expect(await verify(texts)).toMatchObject({
      outcome: 'whole',
      entries: 16,
      sealed: 13,
      chains: 3,
      checkpoints: 3,
      last: { ...anchors[2], time: '2026-03-03T00:03:00.000Z' },
      unsealed: { entries: 3, oldest: '2026-03-03T00:04:00.000Z', overdue: 0 },
    });
  });

  test.each(attacks)('names $name: $code', async ({ code, at = {}, change }) => {
    const changed = formatLines(await change(lines, bench.root));

    const { chain, ...place } = at;
    const chains = lines.flatMap((line) => (line.line === 'chain' ? [line.chain] : []));
    const named = chain === undefined ? {} : { chain: chains[chain - 1] };
    expect(await verify(changed)).toMatchObject({
      outcome: 'broken',
      fault: { code, ...place, ...named },
    });
  });

  test('says on which line the first fault is', async () => {
    const edited = texts.with(6, texts[6]?.replace('deadline', 'terminated') ?? '');

    expect(await verify(edited)).toMatchObject({ line: 7, fault: { code: 'entry-altered' } });
  });

  test('names an end that counts other lines than there are', async () => {
    const shorter = texts.filter((_, index) => index !== texts.length - 2);

    expect(await verify(shorter)).toMatchObject({ fault: { code: 'file-miscounted' } });
  });

  test('trusts no root key that stands in the file', async () => {
    const trust = { roots: new Map() };

    const verdict = await verifyLines(texts, trust);

    expect(verdict).toMatchObject({ fault: { code: 'checkpoint-untrusted', checkpoint: 1 } });
  });

  test('passes over what parts the pages of an export', async () => {
    const next = JSON.stringify({ line: 'next', after: 'a', progress: 0.5 });
    const parted = texts.flatMap((text, index) => (index % 5 === 1 ? [text, next] : [text]));

    expect(await verify(parted)).toMatchObject({ outcome: 'whole', entries: 16 });
  });

  test.each([
    ['a blank', (text: string) => text.replace('"b":', '"b": ')],
    ['a member that stands twice', (text: string) => text.replace('"b":', '"b":"x","b":')],
    ['a member that is not known', (text: string) => text.replace('"b":', '"a":1,"b":')],
    ['another escape', (text: string) => text.replace('session', '\\u0073ession')],
    ['a carriage return', (text: string) => `${text}\r`],
  ])('refuses a line with %s', async (_, change) => {
    expect(await verify(texts.with(6, change(texts[6] ?? '')))).toMatchObject({
      line: 7,
      fault: { code: 'file-malformed' },
    });
  });

  // Four bits of the last character of a signature count for nothing.
  test('refuses another text for the same signature', async () => {
    const loosen = (text: string) =>
      text.replace(/"s":"([\w-]{85})(\w)"/, (_, head: string, last: string) => {
        const other = String.fromCharCode(last.charCodeAt(0) + 1);
        return `"s":"${head}${other}"`;
      });

    expect(await verify(texts.with(2, loosen(texts[2] ?? '')))).toMatchObject({
      fault: { code: 'checkpoint-untrusted' },
    });
    expect(await verify(texts.with(texts.length - 2, loosen(texts.at(-2) ?? '')))).toMatchObject({
      fault: { code: 'entry-forged' },
    });
  });

  // A lone surrogate is hashed as if it were U+FFFD.
  test('refuses another text for the same hash', async () => {
    const other = openExportBench();
    await other.openWriter('writer-1').append([endSession('\u{FFFD}')]);
    other.clock.pass(60);
    const file = await other.read({ from: '2026-03-02' });

    expect(await verify(file, other)).toMatchObject({ outcome: 'whole' });
    const forged = file.map((text) => text.replace('\u{FFFD}', '\\ud800'));
    expect(await verify(forged, other)).toMatchObject({ fault: { code: 'entry-altered' } });
  });

  test('finds a file whole that nothing seals, and says so', async () => {
    const bare = formatLines(lines.filter(({ line }) => line !== 'checkpoint'));

    const verdict = await verify(bare);

    expect(verdict).toMatchObject({ outcome: 'whole', sealed: 0, unsealed: { entries: 16 } });
    expect(verdict).not.toHaveProperty('last');
  });

  test('counts what should have been sealed long ago', async () => {
    const other = openExportBench();
    const writer = other.openWriter('writer-1');
    await writer.append([endSession('a')]);
    const { checkpoint, hash } = await other.seal();
    await writer.append([endSession('b')]);
    other.clock.pass(3700);
    await writer.append([endSession('c')]);
    const time = other.clock.now().toISOString();
    const idle = { ...checkpoint, n: 2, time, prev: hash, heads: [] };
    await other.table.insert(toCheckpointRow(await signCheckpoint(other.root, idle)));
    other.clock.pass(60);

    expect(await verify(await other.read({ from: '2026-03-02' }), other)).toMatchObject({
      outcome: 'whole',
      unsealed: { entries: 2, overdue: 1 },
    });
  });
});

describe('an anchor', () => {
  test('is found in the file that it is of', async () => {
    for (const anchor of anchors)
      expect(await verify(texts, bench, anchor)).toMatchObject({ outcome: 'whole' });
  });

  test('names another story under the same number', async () => {
    const anchor = { n: 2, hash: anchors[0]?.hash ?? '' };

    expect(await verify(texts, bench, anchor)).toMatchObject({
      fault: { code: 'anchor-differs', checkpoint: 2 },
    });
  });

  test('names checkpoints that were cut off with what they sealed', async () => {
    const cut = formatLines(lines.filter((line) => line.line !== 'checkpoint' || line.n < 3));

    expect(await verify(cut)).toMatchObject({ outcome: 'whole', last: { n: 2 } });
    expect(await verify(cut, bench, anchors[2])).toMatchObject({
      fault: { code: 'anchor-missing', checkpoint: 3 },
    });
  });
});

describe('an export of some days', () => {
  test('is whole without the days before and after', async () => {
    const first = await verify(await bench.read({ from: '2026-03-02', to: '2026-03-02' }));
    const second = await verify(await bench.read({ from: '2026-03-03', to: '2026-03-03' }));

    expect(first).toMatchObject({ outcome: 'whole', chains: 2, sealed: 11 });
    expect(second).toMatchObject({ outcome: 'whole', chains: 1, sealed: 2 });
  });

  test('begins with the last checkpoint that is old enough', async () => {
    const other = openExportBench();
    const writer = other.openWriter('writer-1');
    for (let n = 1; n <= 5; n += 1) {
      await writer.append([endSession(`session ${n}`)]);
      await other.seal();
      other.clock.pass(86_400);
    }

    const file = parseLines(await other.read({ from: '2026-03-05', to: '2026-03-05' }));

    const numbers = file.flatMap((line) => (line.line === 'checkpoint' ? [line.n] : []));
    expect(numbers).toEqual([3, 4, 5]);
    expect(await verify(formatLines(file), other)).toMatchObject({ outcome: 'whole', sealed: 2 });
    const late = file.filter((line) => line.line !== 'checkpoint' || line.n > 3);
    expect(await verify(formatLines(late), other)).toMatchObject({
      fault: { code: 'checkpoint-missing', checkpoint: 3 },
    });
  });

  test('names a chain of the day before that does not end as the next one of its writer says', async () => {
    const file = parseLines(await bench.read({ from: '2026-03-03', to: '2026-03-03' }));
    const forged = await replaceCheckpoint(file, bench.root, 3, (body) =>
      body.replace(/("closed":true,"hash":")[^"]+/, `$1${'A'.repeat(43)}`),
    );

    expect(await verify(formatLines(forged))).toMatchObject({
      fault: { code: 'chain-unlinked', sequence: 7 },
    });
  });
});

describe('a chain that retention removed', () => {
  test('may be missing when a checkpoint says so, and not otherwise', async () => {
    const other = openExportBench();
    await writeLog(other);
    const [gone] = findHeads(other.table.rows());
    if (gone === undefined) throw new Error('there is no chain');
    await other.seal([gone]);
    other.clock.pass(60);
    const file = parseLines(await other.read(logDays));
    const rest = file.filter((line) => !('chain' in line && line.chain === gone.chain));

    expect(await verify(formatLines(rest), other)).toMatchObject({ outcome: 'whole', pruned: 1 });
    const unsaid = rest.filter((line) => line.line !== 'checkpoint' || line.n < 4);
    expect(await verify(formatLines(unsaid), other)).toMatchObject({
      fault: { code: 'chain-missing', chain: gone.chain },
    });
  });

  test('must be removed as it was sealed', async () => {
    const other = openExportBench();
    await writeLog(other);
    const [gone] = findHeads(other.table.rows());
    if (gone === undefined) throw new Error('there is no chain');
    await other.seal([{ ...gone, seq: gone.seq - 1 }]);
    other.clock.pass(60);

    const verdict = await verifyLines(await other.read(logDays), other.trust);

    expect(verdict).toMatchObject({ fault: { code: 'checkpoint-contradicts', checkpoint: 4 } });
  });
});
