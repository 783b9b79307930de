import { describe, expect, test } from 'vitest';
import { createArmTargets } from '../../lib/azure/arm-targets.ts';
import type { Reply } from '../support/fake-arm.ts';
import { fakeArm, readError, readPayload } from '../support/fake-arm.ts';
import { operation, powerOf, subscription, target } from '../support/fake-power.ts';

const { signal } = new AbortController();

describe('checkStart', () => {
  const path = new URL(operation).pathname;
  const check = async (reply: Reply, url = operation) => {
    const arm = fakeArm();
    arm.answer(path, reply);
    await powerOf(arm).checkStart(target, url, signal);
    return arm;
  };

  test.each(['start-operation-inprogress', 'start-operation-succeeded'])(
    'is content with %s, after one GET of the very URL that ARM gave',
    async (payload) => {
      const { requests } = await check({ text: readPayload(payload) });
      expect(requests.map(({ method, url }) => [method, url])).toEqual([['GET', operation]]);
    },
  );

  test('fails with start-failed when there was no capacity after all', async () => {
    const failure: unknown = await check({ text: readPayload('start-operation-failed') }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'start-failed' });
    expect(String(failure)).toMatch(/no machine of this size/);
  });

  test('fails with start-failed when the operation was cancelled without a reason', async () => {
    await expect(check({ text: '{"status":"Canceled"}' })).rejects.toMatchObject({
      code: 'start-failed',
    });
  });

  test('is content when the operation is forgotten, or may not be read', async () => {
    for (const name of ['404-resource', '403'])
      expect((await check(readError(name))).calls).toHaveLength(1);
  });

  test('fails when ARM does, or says something else', async () => {
    for (const reply of [readError('503'), { text: '{"value":1}' }, { text: '<html>' }])
      await expect(check(reply)).rejects.toMatchObject({ code: 'targets-unavailable' });
    await expect(check(readError('429-arm'))).rejects.toMatchObject({ code: 'targets-throttled' });
  });

  // The URL comes back from a table, and the token of the broker goes with it.
  test('asks no other host than ARM', async () => {
    const arm = fakeArm();
    for (const url of ['https://evil.test/op-1', 'https://management.azure.com.evil.test/op-1'])
      await expect(powerOf(arm).checkStart(target, url, signal)).rejects.toMatchObject({
        code: 'targets-unavailable',
      });
    expect(arm.calls).toEqual([]);
  });
});

// The session of a VM that is about to be started needs its address as much as any.
test.each(['vm-windows-deallocated', 'vm-linux-stopped', 'vm-linux-starting'])(
  'finds the address of %s like that of a VM that runs',
  async (payload) => {
    const arm = fakeArm();
    const vm = readPayload(payload).replace(/nic-(win-1|stopped|starting)"/, 'nic-web-1"');
    const armId = arm.serve(vm).toLowerCase();
    arm.serve(readPayload('nic-simple').replace('vm-web-1', armId.split('/').at(-1) ?? ''));
    const now = () => new Date('2026-01-05T12:00:00Z');
    const targets = createArmTargets({ ...arm, subscriptions: [subscription], now, log: () => {} });

    const found = await targets.find({ kind: 'arm', armId }, signal);

    expect(found && (await targets.findHost(found, signal))).toBe('10.20.0.4');
  },
);
