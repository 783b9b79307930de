import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTable } from '../../lib/azure/table.ts';
import type { Budget } from '../../lib/budget.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { Tables } from '../../local/azurite.ts';
import { startTables } from '../../local/azurite.ts';
import { ada, memoryAudit, testBudget, testClock } from '../support/test-broker.ts';

// Threat 28: a budget is one, however many brokers spend it.
describe('a budget of 20 on one store', () => {
  let folder: string;
  let tables: Tables;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-budget-'));
    tables = await startTables({ folder, port: 0 });
  });

  afterAll(async () => {
    await tables?.close();
    await rm(folder, { recursive: true });
  });

  /** Opens the budgets of as many processes, each with a client of its own. */
  function openBudgets(count: number) {
    const audit = memoryAudit();
    const clock = testClock();
    const url = new URL(tables.url);
    const budgets = Array.from({ length: count }, () => {
      const table = openTable({ url, name: 'state', createIfMissing: true });
      return testBudget({ table, audit, now: clock.now });
    });
    return { audit, clock, budgets };
  }

  /** Lets 200 requests of one caller arrive at once, and returns how many pass; each other must be told to wait. */
  async function flood(budgets: readonly Budget[], id: string): Promise<number> {
    const spending = { kind: 'caller', id, perMinute: 20, caller: ada } as const;
    const asks = Array.from({ length: 200 }, async (_, i) =>
      budgets[i % budgets.length]?.take(spending),
    );
    const outcomes = await Promise.allSettled(asks);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toBeInstanceOf(BrokerError);
        expect(outcome.reason).toMatchObject({ code: 'rate-limited' });
      }
    return outcomes.filter(({ status }) => status === 'fulfilled').length;
  }

  test('admits exactly 20 of 200 parallel requests at two processes, ten times out of ten', async () => {
    const { budgets, audit } = openBudgets(2);

    for (let round = 0; round < 10; round += 1)
      expect(await flood(budgets, `two-${String(round)}`)).toBe(20);

    expect(audit.entries).toHaveLength(10);
  });

  test('admits no more than 20 at eight processes', async () => {
    const { budgets, audit } = openBudgets(8);

    const passed = await flood(budgets, 'eight');

    expect(passed).toBeGreaterThan(0);
    expect(passed).toBeLessThanOrEqual(20);
    expect(audit.entries.length).toBeLessThanOrEqual(1);
  });

  test('admits as many as came back, when they came back', async () => {
    const { budgets, clock } = openBudgets(2);
    await flood(budgets, 'refill');

    clock.pass(9);
    expect(await flood(budgets, 'refill')).toBe(3);
    expect(await flood(budgets, 'refill')).toBe(0);
    clock.pass(60);
    expect(await flood(budgets, 'refill')).toBe(20);
  });
});
