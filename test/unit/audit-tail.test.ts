import { describe, expect, test } from 'vitest';
import type { Addition, Reader } from '../../lib/audit-tail.ts';
import { followAudit } from '../../lib/audit-tail.ts';
import type { AuditEvent } from '../../lib/audit.ts';
import { memoryTable } from '../support/memory-table.ts';
import { openTestAudit } from '../support/test-audit.ts';
import { sessionId } from '../support/sessions.ts';

const by = { id: 'a', name: 'ada' };

function toEvents(count: number, from = 1): readonly AuditEvent[] {
  return Array.from({ length: count }, (_, i) => ({
    type: 'lock.lifted',
    lock: `lock-${String(from + i)}`,
    by,
  }));
}

function startTail(changes: Partial<Reader> = {}) {
  const setup = openTestAudit();
  const state = memoryTable();
  const reader: Reader = {
    list: setup.table.list,
    state,
    partition: 'read',
    context: 2,
    now: setup.clock.now,
    ...changes,
  };
  /** Follows once, and returns what was handed on. */
  const follow = async (take: (addition: Addition) => void = () => undefined) => {
    const additions: Addition[] = [];
    const until = new Date(setup.clock.now().getTime() + 10_000);
    await followAudit(reader, until, async (addition) => {
      take(addition);
      additions.push(addition);
    });
    return additions;
  };
  return { ...setup, state, reader, follow };
}

function readLocks(additions: readonly Addition[]): readonly unknown[] {
  return additions.flatMap(({ entries }) => entries.flatMap(({ body }) => body['lock'] ?? []));
}

describe('followAudit', () => {
  test('hands on every entry once, in order, with the two before it', async () => {
    const { audit, follow } = startTail();
    await audit.append(toEvents(3));
    const first = await follow();
    await audit.append(toEvents(2, 4));
    const second = await follow();
    const third = await follow();

    expect(readLocks(first)).toEqual(['lock-1', 'lock-2', 'lock-3']);
    expect(first[0]?.before).toEqual([]);
    expect(readLocks(second)).toEqual(['lock-4', 'lock-5']);
    expect(second[0]?.before.map(({ body }) => body['lock'])).toEqual(['lock-2', 'lock-3']);
    expect(third).toEqual([]);
  });

  test('hands on again what could not be taken, and nothing twice that was', async () => {
    const { audit, follow } = startTail();
    await audit.append(toEvents(2));

    const refused = follow(() => {
      throw new Error('not now');
    });

    await expect(refused).rejects.toThrow('not now');
    expect(readLocks(await follow())).toEqual(['lock-1', 'lock-2']);
    expect(await follow()).toEqual([]);
  });

  test('reads on where a page ends, in one run', async () => {
    const { audit, follow } = startTail();
    await audit.append(toEvents(1234));

    const additions = await follow();

    expect(additions.length).toBeGreaterThan(1);
    expect(readLocks(additions)).toEqual(
      toEvents(1234).map((event) => 'lock' in event && event.lock),
    );
  });

  test('finds what was recorded before midnight after it, and the end of a chain hours later, and then leaves it alone', async () => {
    const lists: string[] = [];
    const { audit, clock, follow, table } = startTail({
      list: async (partition, range) => {
        lists.push(partition);
        return table.list(partition, range);
      },
    });
    clock.pass(11 * 3600 + 3599);
    const [receipt] = await audit.append(toEvents(1));
    clock.pass(2);
    expect(readLocks(await follow())).toEqual(['lock-1']);
    clock.pass(8 * 3600);
    await audit.append(toEvents(1, 2));
    const types = (await follow()).flatMap(({ entries }) =>
      entries.map(({ body }) => body['type']),
    );
    lists.length = 0;
    await follow();

    expect(types).toEqual(['chain.opened', 'lock.lifted', 'chain.closed']);
    expect(lists).not.toContain(receipt?.chain);
  });

  test('leaves a chain without an end alone once nothing can come to it any more', async () => {
    const lists: string[] = [];
    const { audit, clock, follow, table } = startTail({
      list: async (partition, range) => {
        lists.push(partition);
        return table.list(partition, range);
      },
    });
    await audit.append(toEvents(1));
    clock.pass(12 * 3600 + 26 * 3600);
    await follow();
    const looked = [...lists];
    lists.length = 0;
    clock.pass(3600);
    await follow();

    expect(looked).toContain('chains|20260302');
    expect(lists).toEqual(['chains|20260303', 'chains|20260304']);
  });

  // Whoever can add rows, and nothing else, must not be able to hide what the broker records next.
  test('is not led past entries by a row that is far ahead, and hands that on at last', async () => {
    const { audit, clock, follow, table } = startTail();
    const [receipt] = await audit.append(toEvents(1));
    const b = JSON.stringify({ time: '2026-03-02T12:00:00Z', lock: 'forged' });
    await table.insert({ partition: receipt?.chain ?? '', row: '000000009999', values: { b } });
    const first = await follow();
    await audit.append(toEvents(1, 2));
    const second = await follow();
    clock.pass(12 * 3600 + 26 * 3600);
    const third = await follow();

    expect([first, second, third].map(readLocks)).toEqual([['lock-1'], ['lock-2'], ['forged']]);
  });

  test('reads an ended chain to its end, and not again', async () => {
    const lists: string[] = [];
    const { audit, follow, table } = startTail({
      list: async (partition, range) => {
        lists.push(partition);
        return table.list(partition, range);
      },
    });
    await audit.append(toEvents(1));
    await audit.close();

    expect(readLocks(await follow())).toEqual(['lock-1']);
    lists.length = 0;
    await follow();
    expect(lists.filter((partition) => !partition.startsWith('chains|'))).toEqual([]);
  });

  test('joins an entry that the table holds in parts', async () => {
    const { audit, follow } = startTail();
    const name = 'é'.repeat(70_000);
    await audit.append([{ type: 'lock.lifted', lock: 'long', by: { id: 'a', name } }]);

    const [addition] = await follow();

    expect(addition?.entries.at(-1)?.body).toMatchObject({ by: { name } });
  });

  // The verifier reports such an entry; here it must not keep all others from being told.
  test('passes over an entry that nobody can read', async () => {
    const { audit, follow, table } = startTail();
    const [receipt] = await audit.append(toEvents(1));
    const row = { partition: receipt?.chain ?? '', row: '000000000003', values: { b: '{"type":' } };
    await table.insert(row);
    await table.insert({ ...row, row: '000000000004', values: { b: '{"type":"x","time":"y"}' } });

    const [addition] = await follow();

    expect(addition?.entries.map(({ sequence, body }) => [sequence, body['type']])).toEqual([
      [1, 'chain.opened'],
      [2, 'lock.lifted'],
      [3, undefined],
      [4, 'x'],
    ]);
  });

  test('looks at every one of a hundred silent chains within eight runs, and at new ones in each', async () => {
    const lists: string[] = [];
    const table = memoryTable();
    const { clock, follow } = startTail({
      list: async (partition, range) => {
        lists.push(partition);
        return table.list(partition, range);
      },
    });
    const chains = Array.from({ length: 100 }, (_, i) => `20260302-${String(i).padStart(16, '0')}`);
    const announce = async (chain: string) => {
      await table.insert({ partition: 'chains|20260302', row: chain, values: { writer: 'w' } });
      const b = JSON.stringify({ type: 'session.repeated', session: sessionId, time: clock.now() });
      await table.insert({ partition: chain, row: '000000000001', values: { b } });
    };
    for (const chain of chains) await announce(chain);
    for (let run = 0; run < 9; run += 1) {
      await follow();
      clock.pass(15);
    }
    const seen: string[][] = [];
    for (let run = 0; run < 8; run += 1) {
      lists.length = 0;
      await announce(`20260302-${String(1000 + run).padStart(16, '0')}`);
      await follow();
      seen.push(lists.filter((partition) => partition.startsWith('2026')));
      clock.pass(15);
    }

    expect(new Set(seen.flat()).size).toBe(108);
    for (const [run, looked] of seen.entries()) {
      expect(looked).toContain(`20260302-${String(1000 + run).padStart(16, '0')}`);
      expect(looked.length).toBeLessThanOrEqual(50);
    }
  });

  test('forgets how far it came in the chains of past days', async () => {
    const { audit, clock, follow, state } = startTail();
    await audit.append(toEvents(1));
    await follow();
    const before = state.rows().length;
    clock.pass(2 * 86_400);

    await follow();

    expect([before, state.rows().length]).toEqual([1, 0]);
  });
});
