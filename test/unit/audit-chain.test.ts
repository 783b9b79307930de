import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import { describeAudit, endSession } from '../support/audit-contract.ts';
import { openTestAudit } from '../support/test-audit.ts';
import { memoryAudit } from '../support/test-broker.ts';

describeAudit('memoryAudit', async () => {
  const audit = memoryAudit();
  return { audit, read: async () => audit.entries };
});

describeAudit('openAudit', async () => {
  const { audit, read } = openTestAudit();
  return { audit, read: async () => (await read()).entries };
});

describe('openAudit', () => {
  test('writes nothing before the first event, then a chain that anyone can verify', async () => {
    const { audit, table, read } = openTestAudit();
    expect(table.rows()).toEqual([]);

    const [receipt] = await audit.append([endSession('a')]);
    await audit.close();

    const { entries, faults } = await read();
    expect(faults).toEqual([]);
    expect(entries.map(({ type, seq }) => [seq, type])).toEqual([
      [1, 'chain.opened'],
      [2, 'session.ended'],
      [3, 'chain.closed'],
    ]);
    expect(entries[0]).toMatchObject({
      writer: 'writer-1',
      version: '1.0',
      policy: 'digest-1',
      after: null,
    });
    expect(entries[1]).toMatchObject({
      session: 'a',
      endReason: 'deadline',
      time: '2026-03-02T12:00:00.000Z',
    });
    expect(receipt).toEqual({ chain: entries[1]?.chain, sequence: 2, hash: entries[1]?.hash });
    expect(receipt?.chain).toMatch(/^20260302-[0-9a-f]{16}$/);
  });

  // A change here breaks every verifier that others have written: it needs a new `v`.
  test('writes the rows of docs/audit-format.md', async () => {
    const { audit, table } = openTestAudit();

    await audit.append([endSession('a'), endSession('b')]);

    const values = table.rows().map((row) => row.values);
    const [opened, first, last, announcement] = values;
    const columns = values.map((row) => Object.keys(row).sort().join(' '));
    expect(columns).toEqual(['b h', 'b h', 'b h kid s', 'endorsement key version writer']);
    const chain = table.rows()[0]?.partition ?? '';
    expect(table.rows().map(({ partition, row }) => [partition, row])).toEqual([
      [chain, '000000000001'],
      [chain, '000000000002'],
      [chain, '000000000003'],
      ['chains|20260302', chain],
    ]);
    expect(announcement).toMatchObject({ writer: 'writer-1', version: '1.0' });
    expect(announcement?.['key']).toMatch(
      /^{"crv":"P-256","kty":"EC","x":"[\w-]{43}","y":"[\w-]{43}"}$/,
    );
    expect(last?.['s']).toMatch(/^[\w-]{86}$/);
    expect(first?.['b']).toBe(
      `{"chain":"${chain}","endReason":"deadline","prev":"${String(opened?.['h'])}","seq":2,` +
        '"session":"a","time":"2026-03-02T12:00:00.000Z","type":"session.ended","v":1}',
    );
  });

  test('writes one batch at a time, and all that waits in the next', async () => {
    let underWay = 0;
    const sizes: number[] = [];
    const { audit, read, table } = openTestAudit(async (operation) => {
      if (operation !== 'insertAll') return undefined;
      underWay += 1;
      sizes.push(underWay);
      await Promise.resolve();
      underWay -= 1;
      return undefined;
    });

    await Promise.all(Array.from({ length: 120 }, (_, i) => audit.append([endSession(String(i))])));

    expect(sizes).toEqual([1, 1, 1, 1]);
    const { entries, faults } = await read();
    expect(faults).toEqual([]);
    expect(entries.map(({ session }) => session).slice(1)).toEqual(
      Array.from({ length: 120 }, (_, i) => String(i)),
    );
    expect(
      table
        .rows()
        .filter(({ values }) => 's' in values)
        .map(({ row }) => Number(row)),
    ).toEqual([2, 51, 100, 121]);
  });

  test('begins a new chain each day and names the one before', async () => {
    const { audit, clock, read } = openTestAudit();
    await audit.append([endSession('a')]);
    clock.pass(12 * 3600 - 1);
    await audit.append([endSession('b')]);
    clock.pass(1);
    await audit.append([endSession('c')]);

    const { entries, faults } = await read();
    expect(faults).toEqual([]);
    expect(entries.map(({ chain, type }) => [chain.slice(0, 8), type])).toEqual([
      ['20260302', 'chain.opened'],
      ['20260302', 'session.ended'],
      ['20260302', 'session.ended'],
      ['20260302', 'chain.closed'],
      ['20260303', 'chain.opened'],
      ['20260303', 'session.ended'],
    ]);
    expect(entries[4]?.['after']).toEqual({
      chain: entries[3]?.chain,
      sequence: 4,
      hash: entries[3]?.hash,
    });
  });

  test('begins a new chain with a new key, and signs nothing with one that has expired', async () => {
    const { audit, clock, read } = openTestAudit();
    await audit.append([endSession('a')]);
    // After three idle days the key has expired: its chain stays open, but its end is named.
    clock.pass(3 * 86_400);
    await audit.append([endSession('b')]);

    const { entries, faults } = await read();
    expect(faults).toEqual([]);
    expect(entries.map(({ type }) => type)).toEqual([
      'chain.opened',
      'session.ended',
      'chain.opened',
      'session.ended',
    ]);
    expect(entries[2]?.['after']).toMatchObject({ sequence: 2, hash: entries[1]?.hash });
  });

  test('stores what is longer than one string of the table', async () => {
    const { audit, read, table } = openTestAudit();
    const long = (length: number): AuditEvent => endSession(`x${'\u{1F600}'.repeat(length / 2)}`);

    await audit.append([long(100_000), long(29_900), long(60)]);

    expect((await read()).faults).toEqual([]);
    const parts = table.rows().map(({ values }) =>
      Object.keys(values)
        .filter((name) => /^b\d*$/.test(name))
        .join(' '),
    );
    expect(parts).toEqual(['b', 'b b1 b2 b3', 'b b1', 'b', '']);
  });

  test('keeps a batch below what a transaction may hold', async () => {
    const { audit, read, table } = openTestAudit();
    const event = endSession('"'.repeat(59_000));

    await Promise.all(Array.from({ length: 40 }, async () => audit.append([event])));

    expect((await read()).faults).toEqual([]);
    const signed = table.rows().filter(({ values }) => 's' in values);
    expect(signed.length).toBeGreaterThan(2);
  });

  test.each([
    ['too large', 'x'.repeat(120_001)],
    ['a lone surrogate', '\ud800'],
  ])('refuses an event that no entry can hold, and harms no other (%s)', async (_, session) => {
    const { audit, read } = openTestAudit();

    const others = audit.append([endSession('a')]);
    await expect(audit.append([endSession(session)])).rejects.toThrow(/too large|lone surrogate/);
    await others;

    expect((await read()).entries).toHaveLength(2);
  });
});
