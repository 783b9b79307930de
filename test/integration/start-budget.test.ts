import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTable } from '../../lib/azure/table.ts';
import { takeStart } from '../../lib/start-budget.ts';
import type { Tables } from '../../local/azurite.ts';
import { startTables } from '../../local/azurite.ts';
import { ada, memoryAudit, testBroker } from '../support/test-broker.ts';

let folder: string;
let tables: Tables;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-starts-'));
  tables = await startTables({ folder, port: 0 });
});

afterAll(async () => {
  await tables?.close();
  await rm(folder, { recursive: true });
});

// Threat 28: a budget is one, however many brokers spend it.
test('two processes on one store grant exactly 10 of 50 starts at once, each twice over', async () => {
  const audit = memoryAudit();
  const openProcess = () => {
    const url = new URL(tables.url);
    const state = openTable({ url, name: 'state', createIfMissing: true });
    return testBroker({ state, audit, newId: randomUUID });
  };
  const [one, other] = [openProcess(), openProcess()];
  const takes = Array.from({ length: 100 }, async (_, i) =>
    takeStart(i % 2 === 0 ? one : other, {
      caller: { id: `caller-${String(Math.floor(i / 2))}`, name: ada.name },
      target: 'vm-1',
      session: `session-${String(Math.floor(i / 2))}`,
    }),
  );

  const outcomes = await Promise.allSettled(takes);

  const granted = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
  expect(granted).toHaveLength(20);
  expect(new Set(granted.map((i) => Math.floor(i / 2))).size).toBe(10);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected')
      expect(outcome.reason).toMatchObject({ code: 'rate-limited' });
  expect(audit.entries).toHaveLength(1);
});
