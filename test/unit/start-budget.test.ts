import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { Start } from '../../lib/start-budget.ts';
import { takeStart } from '../../lib/start-budget.ts';
import { chooseRuns } from '../support/effort.ts';
import { memoryTable } from '../support/memory-table.ts';
import { ada, memoryAudit, testBroker, testClock } from '../support/test-broker.ts';

/** A broker that lets a caller start two VMs a day, and a target be started three times, but for the changes. */
function brokerWith(limits: Partial<Broker['limits']> = {}, changes: Partial<Broker> = {}): Broker {
  const broker = testBroker(changes);
  const few = { startsPerCallerDay: 2, startsPerTargetDay: 3 };
  return { ...broker, limits: { ...broker.limits, ...few, ...limits } };
}

function startOf(session: string, caller = 'ada', target = 'vm-1'): Start {
  return { caller: { id: caller, name: ada.name }, target, session };
}

async function toOutcome(taken: Promise<void>): Promise<string> {
  return taken.then(
    () => 'ok',
    (failure: unknown) => (failure instanceof BrokerError ? failure.code : 'bug'),
  );
}

async function takeAll(brokers: readonly Broker[], starts: readonly Start[]) {
  const outcomes = await Promise.all(
    starts.flatMap((start, i) => {
      const broker = brokers[i % brokers.length];
      return broker === undefined ? [] : [toOutcome(takeStart(broker, start))];
    }),
  );
  return outcomes;
}

function count(outcomes: readonly string[], wanted: string): number {
  return outcomes.filter((outcome) => outcome === wanted).length;
}

describe('takeStart', () => {
  test.each([
    ['caller', { startsPerCallerDay: 20, startsPerTargetDay: 1000 }],
    ['target', { startsPerCallerDay: 1000, startsPerTargetDay: 20 }],
  ])('grants exactly 20 of 50 at once, at two processes, to a %s', async (_, limits) => {
    const state = memoryTable();
    const processes = [brokerWith(limits, { state }), brokerWith(limits, { state })];
    const starts = Array.from({ length: 50 }, (_none, i) => startOf(`session-${String(i)}`));

    const outcomes = await takeAll(processes, starts);

    expect(count(outcomes, 'ok')).toBe(20);
    expect(count(outcomes, 'rate-limited')).toBe(30);
  });

  test('takes nothing more for a session that asks again', async () => {
    const broker = brokerWith({ startsPerCallerDay: 2 });
    const [one, two] = [startOf('one'), startOf('two')];

    expect(await takeAll([broker], [one, one, one, one, one])).not.toContain('rate-limited');
    expect(await takeAll([broker], [two])).toEqual(['ok']);
    expect(await takeAll([broker], [startOf('three'), one, two])).toEqual([
      'rate-limited',
      'ok',
      'ok',
    ]);
  });

  test('takes one place for a session that asks two processes at two moments at once', async () => {
    const state = memoryTable();
    const clock = testClock();
    const later = () => new Date(clock.now().getTime() + 1);
    const [one, other] = [brokerWith({}, { state }), brokerWith({}, { state, now: later })];

    expect(await takeAll([one, other], [startOf('a'), startOf('a')])).toEqual(['ok', 'ok']);

    expect(await takeAll([one], [startOf('b')])).toEqual(['ok']);
  });

  // Else a caller could use up the budget of a target that others need, or lose their own to one that is used up.
  test('takes nothing from the other budget when one is used up', async () => {
    const broker = brokerWith({ startsPerCallerDay: 1, startsPerTargetDay: 1 });
    await takeStart(broker, startOf('a', 'ada', 'vm-1'));

    expect(await takeAll([broker], [startOf('b', 'ada', 'vm-2')])).toEqual(['rate-limited']);
    expect(await takeAll([broker], [startOf('c', 'eve', 'vm-2')])).toEqual(['ok']);
    expect(await takeAll([broker], [startOf('d', 'bob', 'vm-1')])).toEqual(['rate-limited']);
    expect(await takeAll([broker], [startOf('e', 'bob', 'vm-3')])).toEqual(['ok']);
  });

  test('says truly how long it is until midnight UTC, and grants again then', async () => {
    const clock = testClock('2026-03-02T23:59:30.500Z');
    const broker = brokerWith({ startsPerCallerDay: 1 }, { now: clock.now });
    await takeStart(broker, startOf('a'));

    await expect(takeStart(broker, startOf('b'))).rejects.toMatchObject({
      code: 'rate-limited',
      details: { retryAfterSeconds: 30 },
    });
    clock.pass(29);
    expect(await takeAll([broker], [startOf('b')])).toEqual(['rate-limited']);
    clock.pass(1);
    expect(await takeAll([broker], [startOf('b')])).toEqual(['ok']);
  });

  test('lets nobody pass when the state cannot be read or written', async () => {
    for (const broken of ['list', 'insert']) {
      const state = memoryTable((operation) => (operation === broken ? 'before' : undefined));
      expect(await takeAll([brokerWith({}, { state })], [startOf('a')])).toEqual([
        'state-unavailable',
      ]);
    }
  });

  test('finds the place again that was taken when the answer was lost', async () => {
    let isLost = true;
    const state = memoryTable((operation) =>
      operation === 'insert' && isLost ? 'after' : undefined,
    );
    const broker = brokerWith({ startsPerCallerDay: 1, startsPerTargetDay: 1 }, { state });
    await takeAll([broker], [startOf('a')]);

    isLost = false;

    expect(await takeAll([broker], [startOf('a'), startOf('b', 'eve')])).toEqual([
      'ok',
      'rate-limited',
    ]);
  });
});

describe('a budget of starts that is used up', () => {
  test('is recorded once a day by all processes together', async () => {
    const clock = testClock();
    const audit = memoryAudit();
    const parts = { state: memoryTable(), audit, now: clock.now, newId: randomUUID };
    const limits = { startsPerCallerDay: 1 };
    const [one, other] = [brokerWith(limits, parts), brokerWith(limits, parts)];
    const flood = Array.from({ length: 20 }, (_, i) => startOf(`session-${String(i)}`));

    await takeAll([one, other], flood);
    await takeAll([one, other], flood);
    const caller = { id: 'ada', name: ada.name };
    expect(audit.entries).toEqual([{ type: 'budget.exceeded', budget: 'caller-starts', caller }]);

    clock.pass(86_400);
    await takeAll([one, other], flood);
    expect(audit.entries).toHaveLength(2);
  });

  test('names the target whose budget it is, and who met its end', async () => {
    const audit = memoryAudit();
    const broker = brokerWith({ startsPerTargetDay: 1 }, { audit });

    await takeAll([broker], [startOf('a')]);
    await takeAll([broker], [startOf('b', 'eve')]);

    expect(audit.entries).toMatchObject([
      { type: 'budget.exceeded', budget: 'target-starts', target: 'vm-1', caller: { id: 'eve' } },
    ]);
  });

  test('refuses otherwise when it cannot be recorded, and is recorded by the next refusal', async () => {
    let isDown = true;
    const working = memoryAudit();
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const audit = {
      append: async (...events: Parameters<typeof working.append>) =>
        isDown ? Promise.reject(down) : working.append(...events),
    };
    const broker = brokerWith({ startsPerCallerDay: 1 }, { audit });
    await takeStart(broker, startOf('a'));

    expect(await takeAll([broker], [startOf('b')])).toEqual(['audit-unavailable']);
    isDown = false;
    expect(await takeAll([broker], [startOf('b')])).toEqual(['rate-limited']);
    expect(working.entries).toHaveLength(1);
  });
});

test('in any order of requests, as many are granted as the two budgets allow, and no more', async () => {
  const people = ['ada', 'eve', 'bob'] as const;
  const order = fc.array(fc.nat({ max: 35 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(order, async (asked) => {
      const broker = brokerWith();
      const paid: Start[] = [];
      for (const number of asked) {
        const caller = people[number % 3] ?? 'ada';
        const start = startOf(String(number), caller, `vm-${String(number % 4)}`);
        const others = paid.filter(({ session }) => session !== start.session);
        const isRepeated = others.length < paid.length;
        const ofCaller = others.filter(({ caller: { id } }) => id === caller).length;
        const ofTarget = others.filter(({ target }) => target === start.target).length;
        const isDue = isRepeated || (ofCaller < 2 && ofTarget < 3);

        const [outcome] = await takeAll([broker], [start]);

        expect(outcome).toBe(isDue ? 'ok' : 'rate-limited');
        if (isDue && !isRepeated) paid.push(start);
      }
    }),
    { numRuns: chooseRuns({ short: 30, full: 300, long: 3000 }) },
  );
});
