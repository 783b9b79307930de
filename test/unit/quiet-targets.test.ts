import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { BrokerError } from '../../lib/failure.ts';
import { deallocateQuiet } from '../../lib/quiet-targets.ts';
import { findSession, replaceSession } from '../../lib/session.ts';
import { holdTarget, noteStart } from '../../lib/started-target.ts';
import { memoryTable } from '../support/memory-table.ts';
import { armId, armVm, powerBench } from '../support/power-bench.ts';
import { openSession, sessionId } from '../support/sessions.ts';
import { vm } from '../support/test-broker.ts';

describe('a VM that was started for a session', () => {
  test('is deallocated once, on the record first, when there was no session for so long', async () => {
    const { calls, entries, pass, start, vmIs } = powerBench();
    await start();

    expect(await pass(30)).toBe(0);
    expect(await pass(1)).toBe(1);
    expect(calls).toEqual(['deallocate after 1 entries']);
    expect(entries).toEqual([
      {
        type: 'target.deallocated',
        target: vm.id,
        armId,
        quietSince: '2026-03-02T12:01:00.000Z',
      },
    ]);
    vmIs(armVm('deallocated'));
    expect(await pass(100)).toBe(0);
    expect(calls).toHaveLength(1);
  });

  test('is kept while there is a session on it, whoever has it, and for the time after its end', async () => {
    const { broker, calls, pass, start } = powerBench();
    await start();
    await pass(25);
    await openSession(broker, { durationSeconds: 3600 });

    expect(await pass(89)).toBe(0);
    expect(await pass(1)).toBe(1);
    expect(calls).toHaveLength(1);
  });

  test.each([
    ['preparing', 0],
    ['pendingApproval', 1],
  ] as const)('is deallocated under a session that is %s: %i', async (state, deallocated) => {
    const { broker, pass, start } = powerBench();
    await start();
    await openSession(broker, { durationSeconds: 7200 });
    const stored = await findSession(broker, sessionId);
    if (stored === undefined) throw new Error('the session is not there');
    await replaceSession(broker, { ...stored, session: { ...stored.session, state } });

    expect(await pass(31)).toBe(deallocated);
  });

  test.each([
    ['stopped', 1],
    ['starting', 0],
    ['stopping', 0],
    ['unknown', 0],
    ['deallocating', 0],
    ['deallocated', 0],
  ] as const)('is deallocated when it is %s: %i', async (power, deallocated) => {
    const { pass, start, vmIs } = powerBench();
    await start();
    vmIs(armVm(power));

    expect(await pass(31)).toBe(deallocated);
  });

  // Whoever starts it then does so for a purpose of their own.
  test('is forgotten when others have deallocated it, or it is another VM under the old name', async () => {
    for (const other of [armVm('deallocated'), armVm('running', { id: vm.id.replace('1', '2') })]) {
      const { pass, start, vmIs } = powerBench();
      await start();
      vmIs(other);
      await pass(31);

      vmIs(armVm('running'));
      expect(await pass(100)).toBe(0);
    }
  });

  test('is tried again after another quiet time when the call failed, or nothing came of it', async () => {
    for (const isHeard of [true, false]) {
      const { calls, failWith, pass, start } = powerBench();
      await start();
      if (!isHeard) failWith(new BrokerError('targets-unavailable', 'no right'));

      await pass(60);
      expect(calls).toHaveLength(1);
      await pass(2);
      expect(calls).toHaveLength(2);
    }
  });

  test('is left alone when the record cannot be written, or took too long', async () => {
    const { broker, calls, clock, pass, start } = powerBench();
    await start();
    await pass(30);
    const down = { append: async () => Promise.reject(new Error('the table is down')) };
    const slow = {
      append: async () => {
        clock.pass(30);
        return [];
      },
    };
    for (const audit of [down, slow]) {
      clock.pass(1860);
      expect(await deallocateQuiet({ ...broker, audit })).toBe(0);
    }
    expect(calls).toEqual([]);
  });
});

describe('a VM that runs for other reasons', () => {
  test('is never deallocated', async () => {
    const { broker, calls, pass } = powerBench();
    await openSession(broker, { durationSeconds: 60 });
    await noteStart(broker, armVm('running'), sessionId);

    expect(await pass(100)).toBe(0);
    expect(calls).toEqual([]);
  });

  test('is never deallocated when the setting is off, nor when it is on again later', async () => {
    const { broker, clock, pass, start } = powerBench();
    await start();
    const off = { ...broker, limits: { ...broker.limits, deallocateAfterMinutes: 0 } };
    clock.pass(86_400);
    expect(await deallocateQuiet(off)).toBe(0);

    expect(await pass(100)).toBe(0);
  });
});

describe('deallocateQuiet', () => {
  test('is done by one of several processes in a minute', async () => {
    const { broker, calls, clock, pass, start } = powerBench();
    await start();
    await pass(30);
    clock.pass(60);

    const other = { ...broker, newId: () => 'other' };
    const done = await Promise.all([broker, other, broker].map(deallocateQuiet));

    expect(done.reduce((sum, one) => sum + one)).toBe(1);
    expect(calls).toHaveLength(1);
  });

  test('goes on after a VM that cannot be looked at', async () => {
    const { broker, clock, pass, start } = powerBench();
    const other = armVm('running', { id: vm.id.replace('1', '0'), armId: `${armId}0` });
    await noteStart(broker, { ...other, power: 'stopped' }, sessionId);
    await start();
    await pass(30);
    clock.pass(60);
    const logged: string[] = [];
    const find: Broker['targets']['find'] = async (reference) => {
      if (reference.kind === 'arm' && reference.armId === other.armId) throw new Error('no');
      return armVm('running');
    };
    const log = (event: string) => void logged.push(event);

    const targets = { ...broker.targets, find };
    expect(await deallocateQuiet({ ...broker, targets, log })).toBe(1);
    expect(logged).toEqual(['deallocate.failed']);
  });

  // The first run takes half a minute to look at the VM.
  test('leaves alone what an earlier run is about to deallocate', async () => {
    const { broker, clock, pass, start } = powerBench();
    await start();
    await pass(30);
    clock.pass(60);
    const find: Broker['targets']['find'] = async () => {
      clock.pass(30);
      return armVm('running');
    };
    await deallocateQuiet({ ...broker, targets: { ...broker.targets, find } });
    clock.pass(30);

    await deallocateQuiet(broker);

    expect((await holdTarget(broker, armVm('running'))).power).toBe('deallocating');
  });

  test('reads no session where no VM was started, and all sessions once a minute elsewhere', async () => {
    const calls: string[] = [];
    const state = memoryTable((operation, partition) => {
      calls.push(`${operation} ${partition}`);
      return undefined;
    });
    const { broker, clock, start } = powerBench({ state });
    await deallocateQuiet(broker);
    expect(calls).toEqual(['list started']);

    await start();
    for (let second = 0; second < 60; second += 1) {
      await deallocateQuiet(broker);
      clock.pass(1);
    }
    expect(calls.filter((call) => call === 'list due|0')).toHaveLength(1);
  });
});
