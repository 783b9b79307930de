import { describe, expect, test } from 'vitest';
import { exportAudit, exportQueryShape } from '../../lib/audit-export.ts';
import { parseLine } from '../../lib/audit-export-line.ts';
import { endSession } from '../support/audit-contract.ts';
import { verifyLines } from '../support/export-bench.ts';
import { auditor, startQueryBench } from '../support/query-bench.ts';

// Sealer and offline verifier are two readings of one page.
describe('an export of a log that was sealed', () => {
  test('is whole for the verifier, says what is sealed, and holds every receipt', async () => {
    const bench = startQueryBench();
    const { broker, clock, parts } = bench;
    const writers = [bench.openWriter(), bench.openWriter()];
    const sealer = bench.openSealer();
    const receipts = [];
    for (let i = 0; i < 30; i += 1) {
      const writer = writers[i % 2];
      receipts.push(...((await writer?.append([endSession('a'), endSession('b')])) ?? []));
      if (i % 4 === 0) await sealer.seal();
      clock.pass(1800);
    }
    await writers[0]?.close();
    await sealer.seal();
    receipts.push(...((await writers[1]?.append([endSession('c')])) ?? []));
    clock.pass(60);

    const query = exportQueryShape.parse({ from: '2026-03-02', to: '2026-03-03' });
    const text = await exportAudit(broker, auditor, query);

    const lines = text.trimEnd().split('\n');
    expect(await verifyLines(lines, { roots: parts.trust.roots })).toMatchObject({
      outcome: 'whole',
      checkpoints: 9,
      unsealed: { entries: 1 },
    });
    const exported = new Set(
      lines.map((line) => {
        const parsed = parseLine(line);
        return parsed?.line === 'entry' ? `${parsed.chain}/${parsed.seq}/${parsed.h}` : '';
      }),
    );
    const missing = receipts.filter(
      ({ chain, sequence, hash }) => !exported.has(`${chain}/${sequence}/${hash}`),
    );
    expect(missing).toEqual([]);
  });
});
