import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { deallocateQuiet } from '../../lib/quiet-targets.ts';
import { holdTarget, noteStart } from '../../lib/started-target.ts';
import { chooseRuns } from '../support/effort.ts';
import { memoryTable } from '../support/memory-table.ts';
import { armVm, powerBench } from '../support/power-bench.ts';
import { sessionId } from '../support/sessions.ts';
import { vm } from '../support/test-broker.ts';

describe('a new session on a quiet VM', () => {
  test('keeps it when it comes before the decision, however close', async () => {
    const { broker, pass, start } = powerBench();
    await start();
    await pass(30);

    expect((await holdTarget(broker, armVm('running'))).power).toBe('running');

    expect(await pass(30)).toBe(0);
  });

  // The sessions have been read by then, and there was none.
  test('keeps it when it comes while the VM is looked at', async () => {
    const { broker, calls, clock, pass, start } = powerBench();
    await start();
    await pass(30);
    const find: Broker['targets']['find'] = async () => {
      await holdTarget(broker, armVm('running'));
      return armVm('running');
    };
    clock.pass(60);

    const targets = { ...broker.targets, find };
    expect(await deallocateQuiet({ ...broker, targets })).toBe(0);
    expect(calls).toEqual([]);
  });

  test('sees it as deallocating when it comes later, and starts it when that is over', async () => {
    const { broker, clock, pass, start } = powerBench();
    await start();
    await pass(31);

    expect((await holdTarget(broker, armVm('running'))).power).toBe('deallocating');
    expect(await noteStart(broker, armVm('deallocating'), sessionId)).toBe(false);
    clock.pass(60);
    expect(await noteStart(broker, armVm('deallocated'), sessionId)).toBe(true);
    expect(await pass(30)).toBe(0);
    expect(await pass(1)).toBe(1);
  });

  test('takes it over from a process that died before it called Azure', async () => {
    const { broker, clock, pass, start } = powerBench();
    await start();
    await pass(31);
    clock.pass(60);

    expect((await holdTarget(broker, armVm('running'))).power).toBe('running');
    expect(await pass(30)).toBe(0);
  });

  test('costs no call where nothing is ever deallocated, nor about a VM that is down', async () => {
    const state = memoryTable(() => 'before');
    const { broker } = powerBench({ state });
    const off = { ...broker, limits: { ...broker.limits, deallocateAfterMinutes: 0 } };

    expect((await holdTarget(off, armVm('running'))).power).toBe('running');
    expect((await holdTarget(broker, armVm('stopped'))).power).toBe('stopped');
    expect((await holdTarget(broker, vm)).power).toBe('running');
  });
});

// Else a session would be handed out whose VM goes down under it.
test('in any order of calls to the table, a VM is held or deallocated, never both', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      let isReady = false;
      const state = memoryTable(async () =>
        isReady ? scheduler.schedule(Promise.resolve(undefined)) : undefined,
      );
      const { broker, calls, clock, pass, start } = powerBench({ state });
      await start();
      await pass(30);
      clock.pass(60);
      isReady = true;

      const [held, again] = await scheduler.waitFor(
        Promise.all([
          holdTarget(broker, armVm('running')),
          holdTarget(broker, armVm('running')),
          deallocateQuiet(broker),
          deallocateQuiet({ ...broker, newId: () => 'other' }),
        ]),
      );

      const isHeld = [held, again].some(({ power }) => power === 'running');
      expect(calls).toHaveLength(isHeld ? 0 : 1);
      expect(held.power).toBe(again.power);
    }),
    { numRuns: chooseRuns({ short: 50, full: 500, long: 10_000 }) },
  );
});
