import { describe, expect, test } from 'vitest';
import type { Budget, Spending } from '../../lib/budget.ts';
import { createBudgetMemory } from '../../lib/budget-memory.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { Table } from '../../lib/table.ts';
import { memoryTable } from '../support/memory-table.ts';
import { ada, eve, memoryAudit, testBudget, testClock } from '../support/test-broker.ts';

const spending: Spending = {
  kind: 'caller',
  id: ada.id,
  perMinute: 20,
  caller: { id: ada.id, name: ada.name },
};

/** Takes tokens at once, over these processes in turn, and returns `ok` or the code for each. */
async function takeMany(budgets: readonly Budget[], count: number): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const budget = budgets[i % budgets.length];
      return budget?.take(spending).then(() => 'ok', toCode) ?? 'none';
    }),
  );
}

function toCode(failure: unknown): string {
  return failure instanceof BrokerError ? failure.code : 'bug';
}

function countOk(outcomes: readonly string[]): number {
  return outcomes.filter((outcome) => outcome === 'ok').length;
}

/** A table that counts its calls by name. */
function countedTable(): { readonly table: Table; readonly calls: () => readonly string[] } {
  const calls: string[] = [];
  const table = memoryTable((operation) => {
    calls.push(operation);
    return undefined;
  });
  return { table, calls: () => calls.splice(0) };
}

describe('createBudget', () => {
  test('admits exactly the budget of 200 requests at once at two processes', async () => {
    const table = memoryTable();

    const outcomes = await takeMany([testBudget({ table }), testBudget({ table })], 200);

    expect(countOk(outcomes)).toBe(20);
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'rate-limited']));
  });

  // More writers than attempts: some are refused who might have been let through, and never the other way round.
  test('admits no more than the budget when 60 processes write at once', async () => {
    const table = memoryTable();
    const budgets = Array.from({ length: 60 }, () => testBudget({ table }));
    await takeMany(budgets.slice(0, 1), 15);

    const outcomes = await takeMany(budgets, 60);

    expect(countOk(outcomes)).toBeGreaterThan(0);
    expect(countOk(outcomes)).toBeLessThanOrEqual(5);
    expect(outcomes.filter((outcome) => outcome === 'rate-limited')).toHaveLength(
      60 - countOk(outcomes),
    );
  });

  test('costs one read and one write, which requests that meet share', async () => {
    const { table, calls } = countedTable();
    const budget = testBudget({ table });
    await budget.take(spending);
    calls();

    await budget.take(spending);
    expect(calls()).toEqual(['find', 'replace']);
    await takeMany([budget], 18);
    expect(calls()).toEqual(['find', 'replace', 'find', 'replace']);
  });

  test('counts each caller and each target apart', async () => {
    const budget = testBudget();
    const one = { ...spending, perMinute: 1 };
    await budget.take(one);

    await budget.take({ ...one, id: eve.id });
    await budget.take({ ...one, kind: 'target' });

    await expect(budget.take(one)).rejects.toMatchObject({ code: 'rate-limited' });
  });

  test('says truly after how many seconds there is a token', async () => {
    const clock = testClock();
    const budget = testBudget({ now: clock.now });
    await takeMany([budget], 20);
    clock.pass(0.4);

    await expect(budget.take(spending)).rejects.toMatchObject({
      code: 'rate-limited',
      details: { retryAfterSeconds: 3 },
    });
    clock.pass(2);
    expect(budget.findRefusal(spending)?.details.retryAfterSeconds).toBe(1);
    clock.pass(1);
    await budget.take(spending);
    await expect(budget.take(spending)).rejects.toMatchObject({ code: 'rate-limited' });
  });

  test('refuses a flood without a call once it knows that the bucket is empty', async () => {
    const clock = testClock();
    const { table, calls } = countedTable();
    const budget = testBudget({ table, now: clock.now });
    await takeMany([budget], 21);
    calls();

    const outcomes = await takeMany([budget], 5000);
    expect(countOk(outcomes)).toBe(0);
    expect(calls()).toEqual([]);

    clock.pass(3);
    expect(countOk(await takeMany([budget], 5000))).toBe(1);
    expect(calls()).toEqual(['find', 'replace', 'find']);
  });

  test('remembers the 10,000 that were refused last', () => {
    const { now } = testClock();
    const memory = createBudgetMemory(now);
    const until = now().getTime() + 1000;
    for (let i = 0; i <= 10_000; i += 1) memory.remember(String(i), until);

    expect(memory.find('0')).toBeUndefined();
    expect(memory.find('1')).toBe(until);
  });

  test('refuses for one read what another process has refused, or this one has forgotten', async () => {
    const { table, calls } = countedTable();
    await takeMany([testBudget({ table })], 21);
    calls();

    expect(await takeMany([testBudget({ table })], 1)).toEqual(['rate-limited']);
    expect(calls()).toEqual(['find']);
  });

  test('forgets a refusal when the clock goes back behind it', async () => {
    const clock = testClock();
    const budget = testBudget({ now: clock.now });
    await takeMany([budget], 21);

    clock.pass(-3600);

    expect(countOk(await takeMany([budget], 1))).toBe(1);
  });
});

describe('an excess', () => {
  test('is recorded once in a minute by all processes together', async () => {
    const clock = testClock();
    const [table, audit] = [memoryTable(), memoryAudit()];
    const parts = { table, audit, now: clock.now };
    const budgets = [testBudget(parts), testBudget(parts)];

    await takeMany(budgets, 200);
    clock.pass(4);
    await takeMany(budgets, 200);
    expect(audit.entries).toEqual([
      { type: 'budget.exceeded', budget: 'caller', caller: { id: ada.id, name: ada.name } },
    ]);

    clock.pass(57);
    await takeMany(budgets, 200);
    expect(audit.entries).toHaveLength(2);
  });

  test('is recorded before anybody is told, and holds up nobody who is within the budget', async () => {
    const recorded = Promise.withResolvers<readonly []>();
    const budget = testBudget({
      audit: { ...memoryAudit(), append: async () => recorded.promise },
    });
    const told: string[] = [];
    const work = Array.from({ length: 25 }, async () =>
      budget.take(spending).then(
        () => told.push('ok'),
        (failure: unknown) => told.push(toCode(failure)),
      ),
    );

    await Promise.all(work.slice(0, 20));
    await new Promise((resolve) => void setImmediate(resolve));
    expect(told).toEqual(Array.from({ length: 20 }, () => 'ok'));
    recorded.resolve([]);
    await Promise.all(work);

    expect(told.slice(20)).toEqual(Array.from({ length: 5 }, () => 'rate-limited'));
  });

  test('names the target whose budget it is, and who met its end', async () => {
    const audit = memoryAudit();
    const budget = testBudget({ audit });
    const one: Spending = { ...spending, kind: 'target', id: 'vm-1', perMinute: 1 };
    await budget.take(one);

    await budget.take({ ...one, caller: { id: eve.id, name: eve.name } }).catch(toCode);

    expect(audit.entries).toMatchObject([
      { type: 'budget.exceeded', budget: 'target', target: 'vm-1', caller: { id: eve.id } },
    ]);
  });

  test('lets nobody through when it cannot be recorded', async () => {
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const budget = testBudget({
      audit: { ...memoryAudit(), append: async () => Promise.reject(down) },
    });

    const outcomes = await takeMany([budget], 25);

    expect(countOk(outcomes)).toBe(20);
    expect(outcomes).toContain('audit-unavailable');
  });

  test('is one line in the log of each process and minute', async () => {
    const clock = testClock();
    const lines: string[] = [];
    const log = (event: string) => void lines.push(event);
    const budget = testBudget({ now: clock.now, log });
    for (let second = 0; second < 59; second += 1) {
      await takeMany([budget], 30);
      clock.pass(1);
    }

    expect(lines).toEqual(['rate-limited']);
  });
});

describe('when the table', () => {
  test.each(['find', 'insert'] as const)('fails at %s, nobody passes', async (broken) => {
    const table = memoryTable((operation) => (operation === broken ? 'before' : undefined));

    const outcomes = await takeMany([testBudget({ table })], 30);

    expect(new Set(outcomes)).toEqual(new Set(['state-unavailable']));
  });

  test('is back, requests pass without a restart', async () => {
    let isAway = true;
    const table = memoryTable(() => (isAway ? 'before' : undefined));
    const budget = testBudget({ table });
    await budget.take(spending).catch(toCode);

    isAway = false;

    expect(await takeMany([budget], 1)).toEqual(['ok']);
  });

  test('is always written by others first, the request is refused for a second', async () => {
    const table: Table = { ...memoryTable(), insert: async () => 'exists' };
    const budget = testBudget({ table });

    await expect(budget.take(spending)).rejects.toMatchObject({
      code: 'rate-limited',
      details: { retryAfterSeconds: 1 },
    });
    expect(budget.findRefusal(spending)).toBeUndefined();
  });
});
