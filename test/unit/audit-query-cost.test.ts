import { describe, expect, test } from 'vitest';
import { queryAudit } from '../../lib/audit-query.ts';
import { auditQueryShape } from '../../lib/audit-view.ts';
import type { QueryBench } from '../support/query-bench.ts';
import { auditor, startQueryBench } from '../support/query-bench.ts';

describe('an answer about the audit log', () => {
  async function fill(bench: QueryBench, sessions: number, seal: () => Promise<unknown>) {
    const writer = bench.openWriter();
    for (let i = 0; i < sessions; i += 1) {
      const id = `${String(i).padStart(8, '0')}-1111-4111-8111-111111111111`;
      const caller = { id: `tenant.${String(i % 10)}`, name: 'x' };
      const request = { target: 'vm', protocol: 'ssh', durationSeconds: 60 } as const;
      await writer.append([
        { type: 'session.requested', session: id, caller, app: 'cli', request },
        { type: 'session.ended', session: id, endReason: 'unused' },
      ]);
      bench.clock.pass(30);
      if (i % 20 === 19) await seal();
    }
  }

  test.each([
    ['of a session', { session: '00000003-1111-4111-8111-111111111111' }, 2],
    ['of a caller', { caller: 'tenant.3', limit: 20 }, 20],
    ['of a type', { type: 'session.ended', limit: 20 }, 20],
    ['of a time', { from: '2026-03-02T12:10:00Z', to: '2026-03-02T12:20:00Z', limit: 40 }, 40],
    ['of the last minutes', { limit: 10 }, 10],
  ])('%s costs as much as it is long, however long the log', async (_name, query, length) => {
    const bench = startQueryBench();
    const sealer = bench.openSealer();
    await fill(bench, 200, sealer.seal);
    await sealer.seal();
    const asked = auditQueryShape.parse(query);
    await queryAudit(bench.broker, auditor, asked);
    bench.countRows();

    const { value, isPartial } = await queryAudit(bench.broker, auditor, asked);

    expect({ length: value.length, isPartial }).toEqual({ length, isPartial: false });
    // Of each entry: its place in the index, the entry, and its checkpoint; and few rows for what is not sealed.
    expect(bench.countRows()).toBeLessThanOrEqual(3 * length + 8);
  });

  test('ends after forty calls, and says where to go on', async () => {
    const bench = startQueryBench();
    await bench.openWriter().append([{ type: 'session.ended', session: 'x', endReason: 'unused' }]);
    await bench.openSealer().seal();
    bench.clock.pass(300 * 86_400);
    const query = { from: '2026-03-01T00:00:00Z', type: 'session.ended' };

    const page = await queryAudit(bench.broker, auditor, auditQueryShape.parse(query));

    expect(page.value).toEqual([]);
    expect(page.after).toBeDefined();
    expect(await bench.queryAll(query)).toMatchObject([{ type: 'session.ended', sealed: 1 }]);
  });

  test('says that it is partial when no sealer has come by for long', async () => {
    const bench = startQueryBench();
    const writer = bench.openWriter();
    const end = { type: 'session.ended', session: 'x', endReason: 'unused' } as const;
    await writer.append(Array.from({ length: 198 }, () => end));

    const whole = await queryAudit(bench.broker, auditor, auditQueryShape.parse({ limit: 200 }));
    await writer.append([end]);
    const partial = await queryAudit(bench.broker, auditor, auditQueryShape.parse({}));

    expect([whole.isPartial, partial.isPartial]).toEqual([false, true]);
    expect(whole.value).toHaveLength(199);
  });

  test('shows an entry that has been taken away as one that is missing', async () => {
    const bench = startQueryBench();
    const writer = bench.openWriter();
    const end = { type: 'session.ended', session: 'x', endReason: 'unused' } as const;
    const [receipt] = await writer.append([end]);
    await bench.openSealer().seal();
    const { chain = '' } = receipt ?? {};
    const row = await bench.audit.find(chain, '000000000002');
    await bench.audit.remove(chain, '000000000002');
    const [gone] = await bench.queryAll({ type: 'session.ended' });
    const values = { ...row?.values, b: String(row?.values['b']).replace('unused', 'policy') };
    await bench.audit.insert({ partition: chain, row: '000000000002', values });
    const [altered] = await bench.queryAll({ type: 'session.ended' });

    expect(gone).toMatchObject({ chain, seq: 2, body: null, hash: null, sealed: 1 });
    expect(altered).toMatchObject({ body: { endReason: 'policy' }, hash: null });
    expect(receipt?.hash).toBe(row?.values['h']);
  });

  test('comes also when a checkpoint is broken', async () => {
    const bench = startQueryBench();
    const end = { type: 'session.ended', session: 'x', endReason: 'unused' } as const;
    await bench.openWriter().append([end]);
    await bench.openSealer().seal();
    await bench.audit.put([{ partition: 'cp', row: '000000000001', values: {} }]);

    expect(await bench.queryAll({ type: 'session.ended' })).toHaveLength(1);
  });
});
