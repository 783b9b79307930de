import { describe, expect, test } from 'vitest';
import type { FakeArm, Reply } from '../support/fake-arm.ts';
import { fakeArm, readError, readPayload } from '../support/fake-arm.ts';
import {
  accepted,
  operation,
  powerOf,
  subscription,
  target,
  vmPath,
} from '../support/fake-power.ts';

const scaleSetPath = `/subscriptions/${subscription}/resourcegroups/rg-app/providers/microsoft.compute/virtualmachinescalesets/ss-uni/virtualmachines/3`;
const { signal } = new AbortController();

/** A fake whose answer to the change is the reply, and whose VM is in the state of the payload. */
function armThat(change: 'start' | 'deallocate', reply: Reply, payload = 'vm-windows-deallocated') {
  const arm = fakeArm();
  const vm = readPayload(payload).replace(
    /"id": "[^"]+\/virtualMachines\/[^"]+"/,
    `"id": "${vmPath}"`,
  );
  arm.serve(vm);
  arm.answer(`${vmPath}/${change}`, reply);
  return arm;
}

function refuse(status: number, code: string, message = 'no'): Reply {
  return { status, text: JSON.stringify({ error: { code, message } }) };
}

describe.each(['start', 'deallocate'] as const)('%s', (change) => {
  const ask = async (arm: FakeArm, changes = {}, about = target) =>
    powerOf(arm, changes)[change](about, signal);

  test.each([
    ['accepts', accepted],
    ['has nothing to do', { status: 200, text: '' }],
  ])('sends one POST when ARM %s, and never polls', async (_, reply) => {
    const arm = armThat(change, reply);

    await ask(arm);
    await new Promise((resolve) => void setImmediate(resolve));

    expect(arm.calls).toEqual([`${vmPath}/${change}`]);
    const [request] = arm.requests;
    expect(request?.method).toBe('POST');
    expect(request?.url).toMatch(/\?api-version=20\d\d-\d\d-\d\d$/);
    expect(request?.headers.get('authorization')).toBe('Bearer arm-token');
  });

  test('asks for an instance of a uniform scale set at its own path', async () => {
    const arm = fakeArm();
    arm.answer(`${scaleSetPath}/${change}`, accepted);

    await ask(arm, {}, { ...target, armId: scaleSetPath });

    expect(arm.calls).toEqual([`${scaleSetPath}/${change}`]);
  });

  test('asks nothing about a target of another subscription or of another source', async () => {
    const arm = fakeArm();
    const foreign = vmPath.replace(subscription, '99999999-9999-4999-8999-999999999999');
    const { armId: _none, ...listed } = target;
    for (const other of [{ ...target, armId: foreign }, listed])
      await expect(ask(arm, {}, other)).rejects.toMatchObject({ code: 'targets-unavailable' });
    expect(arm.calls).toEqual([]);
  });

  test('fails with target-changed when there is no such VM any more', async () => {
    const arm = armThat(change, readError('404-resource'));
    await expect(ask(arm)).rejects.toMatchObject({ code: 'target-changed' });
  });

  test('tells the operator which right is missing', async () => {
    const logged: unknown[] = [];
    const log = (...line: unknown[]): void => void logged.push(line);
    const code = change === 'start' ? 'start-forbidden' : 'targets-unavailable';

    await expect(ask(armThat(change, readError('403')), { log })).rejects.toMatchObject({ code });

    expect(logged).toEqual([['arm-forbidden', { armId: vmPath, action: change }]]);
  });

  test.each([
    ['429-compute', 17],
    ['429-without-retry-after', 5],
  ])(
    'fails with targets-throttled after %s, at once, and passes on %i s',
    async (name, seconds) => {
      const arm = armThat(change, readError(name));
      await expect(ask(arm)).rejects.toMatchObject({
        code: 'targets-throttled',
        details: { retryAfterSeconds: seconds },
      });
      expect(arm.calls).toHaveLength(1);
    },
  );

  test.each(['silent', 'deaf'] as const)(
    'fails with targets-timeout when its time is up and ARM is %s',
    async (reply) => {
      await expect(ask(armThat(change, reply), { deadlineMilliseconds: 30 })).rejects.toMatchObject(
        { code: 'targets-timeout' },
      );
    },
  );

  test('asks once more when the connection was lost, and not a third time', async () => {
    const arm = fakeArm();
    arm.answer(`${vmPath}/${change}`, 'reset', accepted);
    await ask(arm);
    expect(arm.calls).toHaveLength(2);

    const dead = armThat(change, 'reset');
    await expect(ask(dead)).rejects.toMatchObject({ code: 'targets-unavailable' });
    expect(dead.calls).toHaveLength(2);
  });

  test('fails with targets-unavailable when ARM fails, or does not know our token', async () => {
    for (const name of ['503', '502-html', '401-expired'])
      await expect(ask(armThat(change, readError(name)))).rejects.toMatchObject({
        code: 'targets-unavailable',
      });
  });
});

describe('start', () => {
  const start = async (arm: FakeArm) => powerOf(arm).start(target, signal);

  test('returns the operation that ARM has accepted, and nothing where there is none', async () => {
    expect(await start(armThat('start', accepted))).toBe(operation);
    expect(await start(armThat('start', { status: 200, text: '' }))).toBeUndefined();
  });

  // A second caller, or a request that was sent twice.
  test.each(['vm-linux-starting', 'vm-linux-running'])(
    'is content with a conflict when the VM is that of %s',
    async (payload) => {
      const arm = armThat('start', readError('409-start'), payload);
      expect(await start(arm)).toBeUndefined();
      expect(arm.calls).toEqual([`${vmPath}/start`, vmPath]);
    },
  );

  test.each(['vm-linux-deallocating', 'vm-linux-stopping'])(
    'says when to ask again while the VM goes down as in %s',
    async (payload) => {
      const asked = start(armThat('start', readError('409-start'), payload));
      await expect(asked).rejects.toMatchObject({
        code: 'start-failed',
        details: { retryAfterSeconds: 20 },
      });
    },
  );

  test('says when to ask again while ARM does something else with the VM', async () => {
    const asked = start(armThat('start', refuse(409, 'Conflict')));
    await expect(asked).rejects.toMatchObject({
      code: 'start-failed',
      details: { retryAfterSeconds: 20 },
    });
  });

  test.each([
    [409, 'AllocationFailed', 'no room', /no machine of this size/],
    [409, 'ZonalAllocationFailed', 'no room', /no machine of this size/],
    [409, 'OperationNotAllowed', 'exceeding approved Total Regional Cores quota', /quota/],
    [400, 'QuotaExceeded', 'too many', /quota/],
    [409, 'ScopeLocked', 'a lock', /refused/],
    [400, 'InvalidParameter', 'what', /refused/],
  ])('fails for good when ARM answers %i %s: %s', async (status, code, message, sentence) => {
    const failure: unknown = await start(armThat('start', refuse(status, code, message))).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'start-failed' });
    expect(String(failure)).toMatch(sentence);
    expect(failure).not.toHaveProperty('details.retryAfterSeconds');
  });

  test('tells no id or token in a message', async () => {
    for (const reply of [readError('403'), readError('409-start'), refuse(409, 'X', vmPath)]) {
      const failure: unknown = await start(armThat('start', reply)).catch((e: unknown) => e);
      expect(String(failure)).not.toMatch(/rg-app|vm-win|arm-token|1111|5a00/);
    }
  });
});

describe('deallocate', () => {
  test.each(['vm-linux-deallocating', 'vm-windows-deallocated'])(
    'is content with a conflict when the VM is that of %s',
    async (payload) => {
      const arm = armThat('deallocate', readError('409-start'), payload);
      await powerOf(arm).deallocate(target, signal);
      expect(arm.calls).toEqual([`${vmPath}/deallocate`, vmPath]);
    },
  );

  test('fails on a conflict with anything else', async () => {
    const arm = armThat('deallocate', readError('409-start'), 'vm-linux-starting');
    await expect(powerOf(arm).deallocate(target, signal)).rejects.toMatchObject({
      code: 'targets-unavailable',
    });
  });
});
