import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { log } from '../../functions/log.ts';
import { openAudit } from '../../lib/audit-chain.ts';
import type { AuditEvent } from '../../lib/audit.ts';
import type { Log } from '../../lib/broker.ts';
import { logEntries } from '../../lib/log-entries.ts';
import { collectLogLines } from '../support/log-lines.ts';
import type { FindTableFault } from '../support/memory-table.ts';
import { memoryTable } from '../support/memory-table.ts';
import { testBroker } from '../support/test-broker.ts';

const lines = collectLogLines();

const lifted: AuditEvent = { type: 'lock.lifted', lock: 'lock-1', by: { id: 'a', name: 'ada' } };

function openLogged(write: Log = log, findFault: FindTableFault = () => undefined) {
  const { keys, now } = testBroker();
  const table = memoryTable(findFault);
  const audit = openAudit({
    table: logEntries(table, write),
    keys,
    writer: 'writer-1',
    version: '1.0',
    policyDigest: () => 'digest-1',
    now,
    newId: () => 'id',
    log: () => undefined,
  });
  return { audit, table };
}

function readLines(): readonly unknown[] {
  return lines.map((line): unknown => JSON.parse(line));
}

describe('logEntries', () => {
  test('writes a line for each entry, those of the chain itself included, with its place, hash and body', async () => {
    const { audit } = openLogged();
    const receipts = await audit.append([lifted, lifted]);
    await audit.close();
    await setImmediate();

    expect(readLines()).toMatchObject([
      { event: 'audit', seq: 1, body: { type: 'chain.opened' } },
      { event: 'audit', chain: receipts[0]?.chain, seq: 2, hash: receipts[0]?.hash, body: lifted },
      { event: 'audit', seq: 3, hash: receipts[1]?.hash },
      { event: 'audit', seq: 4, body: { type: 'chain.closed' } },
    ]);
  });

  test('writes nothing of what was not stored, and once what was stored at the second try', async () => {
    const faults = ['before', 'after'] as const;
    let writes = 0;
    const { audit } = openLogged(log, (operation) =>
      operation === 'insertAll' ? faults[writes++] : undefined,
    );
    await expect(audit.append([lifted])).rejects.toThrow('Try again');
    await setImmediate();
    const none = [...lines];
    await expect(audit.append([lifted])).rejects.toThrow('Try again');
    await audit.append([lifted]);
    await setImmediate();

    expect(none).toEqual([]);
    expect(readLines()).toMatchObject([{ seq: 1 }, { seq: 2 }, { seq: 3 }]);
  });

  test('neither fails nor holds up an entry when the log does', async () => {
    const order: string[] = [];
    const { audit, table } = openLogged(() => {
      order.push('logged');
      throw new Error('the log is full');
    });

    await audit.append([lifted]);
    order.push('recorded');
    await setImmediate();

    expect(order).toEqual(['recorded', 'logged']);
    expect(table.rows().length).toBe(3);
  });
});

describe('a line of the log', () => {
  test('is one line, in which nothing is hidden, whatever is logged', () => {
    const text = 'a\nb\r\u0085\u2028\u2029\u202Ec\u0007\u001B[2J\u200B\u{E0041}\uD800d';

    log('audit', { text });

    expect(lines.length).toBe(1);
    expect(lines[0]).toMatch(/^[\x20-\x7E]+$/);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ text });
  });
});
