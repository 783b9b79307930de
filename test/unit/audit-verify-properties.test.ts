import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ExportLine } from '../../lib/audit-export-line.ts';
import type { AuditTrust } from '../../lib/audit-verify.ts';
import { chooseRuns } from '../support/effort.ts';
import type { ExportBench } from '../support/export-bench.ts';
import {
  formatLines,
  logDays,
  openExportBench,
  parseLines,
  toText,
  verifyLines,
  writeLog,
} from '../support/export-bench.ts';
import { findExportFaults } from '../support/export-verifier.ts';

const numRuns = chooseRuns({ short: 60, full: 3000, long: 20_000 });

let bench: ExportBench;
let lines: readonly ExportLine[] = [];
let anchored: AuditTrust;

beforeAll(async () => {
  bench = openExportBench();
  await writeLog(bench);
  lines = parseLines(await bench.read(logDays));
  const last = lines.findLast((line) => line.line === 'checkpoint');
  if (last?.line !== 'checkpoint') throw new Error('nothing is sealed');
  anchored = { ...bench.trust, anchor: { n: last.n, hash: last.h } };
});

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

function pick<T>(items: readonly T[], share: number): T {
  const item = items[Math.floor(share * items.length)];
  if (item === undefined) throw new Error('there is nothing to pick from');
  return item;
}

type Texts = readonly string[];

const changes: readonly ((texts: Texts, at: number, to: number) => Texts)[] = [
  (texts, at) => texts.toSpliced(at, 1),
  (texts, at, to) => texts.toSpliced(to, 0, texts[at] ?? ''),
  (texts, at, to) => texts.toSpliced(at, 1).toSpliced(to, 0, texts[at] ?? ''),
  (texts, at) => texts.slice(0, Math.max(2, at)),
  (texts, at) => texts.map((text, i) => (i === at ? text.replace('deadline', 'x') : text)),
];

describe('verifyExport', () => {
  test('finds any change of one character in a body, a hash, a signature or a key', async () => {
    const changed = ['b', 'h', 's', 'kid', 'key', 'endorsement', 'writer', 'version'];
    const character = fc.oneof(
      fc.constantFrom('A', 'z', '0', '-', '"', '\\', ' ', '\u0000', '\u{FFFD}', '\uD800', 'é'),
      fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
    );
    const property = fc.asyncProperty(place, place, place, character, async (l, m, c, other) => {
      const line = pick(lines.slice(1, -1), l);
      const members = Object.entries(line).filter(([name]) => changed.includes(name));
      const [name, value] = pick(members, m);
      const text = String(value);
      const at = Math.floor(c * text.length);
      fc.pre(text[at] !== other);
      const forged = text.slice(0, at) + other + text.slice(at + 1);

      const texts = lines.map((one) =>
        JSON.stringify(one === line ? { ...one, [name]: forged } : one),
      );

      expect(await verifyLines(texts, bench.trust)).toMatchObject({ outcome: 'broken' });
    });
    await fc.assert(property, { numRuns });
  });

  test('finds any change of one character in the file below its header', async () => {
    const texts = formatLines(lines);
    const property = fc.asyncProperty(
      place,
      place,
      fc.string({ maxLength: 2 }),
      async (l, c, other) => {
        const index = 1 + Math.floor(l * (texts.length - 1));
        const text = texts[index] ?? '';
        const at = Math.floor(c * text.length);
        fc.pre(text[at] !== other);
        const forged = text.slice(0, at) + other + text.slice(at + 1);

        const verdict = await verifyLines(texts.with(index, forged), bench.trust);

        expect(verdict).toMatchObject({ outcome: 'broken' });
      },
    );
    await fc.assert(property, { numRuns });
  });

  test('finds any lines dropped, though the end counts anew, but for a signed end that is not sealed', async () => {
    const tail = lines.findLast((line) => line.line === 'entry');
    const property = fc.asyncProperty(
      fc.uniqueArray(place, { minLength: 1, maxLength: 3 }),
      async (shares) => {
        const dropped = shares.map((share) => pick(lines.slice(1, -1), share));

        const verdict = await verifyLines(
          formatLines(lines.filter((line) => !dropped.includes(line))),
          anchored,
        );

        if (verdict.outcome === 'broken') return;
        expect(dropped).toContain(tail);
        expect(verdict.unsealed?.entries).toBe(3 - new Set(dropped).size);
        expect(verdict.sealed).toBe(13);
      },
    );
    await fc.assert(property, { numRuns });
  });

  test('agrees with a verifier that was written from the documentation', async () => {
    const change = fc.tuple(fc.constantFrom(...changes), place, place);
    const property = fc.asyncProperty(fc.array(change, { maxLength: 3 }), async (chosen) => {
      const changed = chosen.reduce<Texts>(
        (texts, [apply, at, to]) =>
          apply(texts, Math.floor(at * texts.length), Math.floor(to * texts.length)),
        formatLines(lines),
      );
      const texts = formatLines(parseLines(changed));

      const verdict = await verifyLines(texts, bench.trust);
      const faults = await findExportFaults(toText(texts), [bench.root.publicJwk]);

      expect(faults.length === 0).toBe(verdict.outcome === 'whole');
    });
    await fc.assert(property, { numRuns: numRuns / 4 });
  });

  test('finds any two lines swapped', async () => {
    const texts = formatLines(lines);
    const property = fc.asyncProperty(place, place, async (one, other) => {
      const [i, j] = [Math.floor(one * texts.length), Math.floor(other * texts.length)];
      fc.pre(i !== j);
      const swapped = texts.with(i, texts[j] ?? '').with(j, texts[i] ?? '');

      expect(await verifyLines(swapped, bench.trust)).toMatchObject({ outcome: 'broken' });
    });
    await fc.assert(property, { numRuns });
  });
});
