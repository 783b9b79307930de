import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { checkStart, startTarget } from '../../lib/start-target.ts';
import type { PowerBench } from '../support/power-bench.ts';
import { armId, armVm, powerBench } from '../support/power-bench.ts';
import { sessionId } from '../support/sessions.ts';
import { ada, memoryAudit, vm } from '../support/test-broker.ts';

const { signal } = new AbortController();
const caller = { id: ada.id, name: ada.name };
const wanted = { session: sessionId, caller, target: armVm('deallocated') };

describe('startTarget', () => {
  test('starts the VM once it is recorded, and returns the operation', async () => {
    const { broker, calls, entries } = powerBench();

    expect(await startTarget(broker, wanted, signal)).toBe('operation-1');

    expect(calls).toEqual(['start after 1 entries']);
    expect(entries).toEqual([
      { type: 'target.started', session: sessionId, caller, target: vm.id, armId },
    ]);
  });

  test('starts nothing that cannot be recorded', async () => {
    const audit = { ...memoryAudit(), append: async () => Promise.reject(new Error('down')) };
    const { broker, calls } = powerBench({ audit });

    await expect(startTarget(broker, wanted, signal)).rejects.toThrow('down');

    expect(calls).toEqual([]);
  });

  test('starts nothing, and records no start, over the budget; once more for a session is free', async () => {
    const { broker, calls, entries } = powerBench();
    const limits = { ...broker.limits, startsPerCallerDay: 1 };
    const few = { ...broker, limits };
    await startTarget(few, wanted, signal);
    await startTarget(few, wanted, signal);

    const other = { ...wanted, session: sessionId.replace('1', '2') };
    await expect(startTarget(few, other, signal)).rejects.toMatchObject({ code: 'rate-limited' });

    expect(calls).toHaveLength(2);
    expect(entries.map(({ type }) => type)).toEqual([
      'target.started',
      'target.started',
      'budget.exceeded',
    ]);
  });

  test('fails for good where nothing can start the target', async () => {
    const { broker } = powerBench();
    const { power: _none, ...without } = broker;

    for (const [some, target] of [
      [without, wanted.target],
      [broker, vm],
    ] as const) {
      const asked = startTarget(some, { ...wanted, target }, signal);
      await expect(asked).rejects.toMatchObject({ code: 'start-failed', details: {} });
    }
  });

  test('fails for now while the VM is being deallocated', async () => {
    const { broker, calls, pass, start } = powerBench();
    await start();
    await pass(31);

    await expect(startTarget(broker, wanted, signal)).rejects.toMatchObject({
      code: 'start-failed',
      details: { retryAfterSeconds: 5 },
    });

    expect(calls).toEqual(['deallocate after 1 entries']);
  });
});

// Whoever starts the VM after that does so for a purpose of their own.
describe('a VM whose start failed', () => {
  test.each([
    ['start-failed', {}, 0],
    ['start-forbidden', {}, 0],
    ['start-failed', { retryAfterSeconds: 20 }, 1],
    ['targets-timeout', {}, 1],
  ] as const)(
    'with %s %o is deallocated later when others start it: %i',
    async (code, details, deallocated) => {
      const failure = new BrokerError(code, 'no', details);
      const asks = [
        async ({ broker }: PowerBench) => startTarget(broker, wanted, signal),
        async ({ broker, start }: PowerBench) => {
          await start();
          return checkStart(broker, wanted, 'operation-1', signal);
        },
      ];
      for (const ask of asks) {
        const bench = powerBench();
        bench.failWith(failure);
        await expect(ask(bench)).rejects.toBe(failure);
        bench.failWith(undefined);

        expect(await bench.pass(31)).toBe(deallocated);
      }
    },
  );

  test('for another session stays one that was started for a session', async () => {
    const bench = powerBench();
    await bench.start();
    bench.failWith(new BrokerError('start-failed', 'no room'));
    const other = { session: sessionId.replace('1', '2'), target: armVm('running') };
    await expect(checkStart(bench.broker, other, 'operation-1', signal)).rejects.toThrow('no room');
    bench.failWith(undefined);

    expect(await bench.pass(31)).toBe(1);
  });
});

test('checkStart passes on the operation, and is content where nothing can tell', async () => {
  const { broker, calls } = powerBench();
  const { power: _none, ...without } = broker;

  await checkStart(broker, wanted, 'operation-1', signal);
  await checkStart(without, wanted, 'operation-1', signal);

  expect(calls).toEqual(['check operation-1 after 0 entries']);
});
