import { describe, expect, test } from 'vitest';
import { createArmTargets } from '../../lib/azure/arm-targets.ts';
import { fakeArm, readError, readPayload } from '../support/fake-arm.ts';
import type { FakeArm } from '../support/fake-arm.ts';

const subscription = '11111111-1111-4111-8111-111111111111';
const other = '22222222-2222-4222-8222-222222222222';
const group = `/subscriptions/${subscription}/resourcegroups/rg-app`;
const listPath = `/subscriptions/${subscription}/providers/microsoft.compute/virtualmachines`;
const secondPage = `${listPath}?abc`;
const vmPath = `${group}/providers/microsoft.compute/virtualmachines/vm-web-1`;
const web = { kind: 'id', id: '2f1b0000-0000-4000-8000-00000000bb5a' } as const;
const { signal } = new AbortController();

function fakeSubscription(): FakeArm {
  const arm = fakeArm(['vm-linux-running', 'nic-simple']);
  arm.answer(listPath, { text: readPayload('vm-list-page1') });
  arm.answer(secondPage, { text: readPayload('vm-list-page2') });
  return arm;
}

function armThatLinksTo(place: string): FakeArm {
  const arm = fakeSubscription();
  const page = readPayload('vm-list-page1').replace('https://management.azure.com/', place);
  arm.answer(listPath, { text: page });
  return arm;
}

/** A source with a clock that the test moves. */
function sourceOf(arm: FakeArm, changes: Partial<Parameters<typeof createArmTargets>[0]> = {}) {
  const clock = { seconds: 0 };
  const source = createArmTargets({
    ...arm,
    subscriptions: [subscription],
    now: () => new Date(clock.seconds * 1000),
    log: () => {},
    ...changes,
  });
  return { ...source, clock };
}

describe('list', () => {
  test('gives the VMs of every page, described as find does but for their power', async () => {
    const listed = await sourceOf(fakeSubscription()).list(signal);
    const place = { source: 'arm', subscription, resourceGroup: 'rg-app', power: 'unknown' };
    expect(listed).toEqual([
      {
        ...place,
        id: web.id,
        name: 'vm-web-1',
        armId: vmPath,
        os: 'linux',
        tags: { env: 'prod' },
        services: [{ protocol: 'ssh', port: 22 }],
      },
      {
        ...place,
        id: '2f1b0000-0000-4000-8000-00000000f86d',
        name: 'vm-win-1',
        armId: vmPath.replace('vm-web-1', 'vm-win-1'),
        os: 'windows',
        tags: { env: 'dev' },
        services: [{ protocol: 'rdp', port: 3389 }],
      },
    ]);
  });

  test('asks ARM once for callers that come together, and again after 60 s', async () => {
    const arm = fakeSubscription();
    const source = sourceOf(arm);
    await Promise.all([source.list(signal), source.list(signal), source.find(web, signal)]);
    source.clock.seconds = 59;
    await source.list(signal);
    expect(arm.calls).toEqual([listPath, secondPage, vmPath]);
    source.clock.seconds = 60;
    await source.list(signal);
    expect(arm.calls).toEqual([listPath, secondPage, vmPath, listPath, secondPage]);
  });

  test('joins the lists of all subscriptions', async () => {
    const arm = fakeSubscription();
    const page = readPayload('vm-list-page2').replaceAll(subscription, other);
    arm.answer(listPath.replace(subscription, other), { text: page });
    const listed = await sourceOf(arm, { subscriptions: [subscription, other] }).list(signal);
    expect(listed.map((target) => target.subscription)).toEqual([
      subscription,
      subscription,
      other,
    ]);
  });

  test('gives the address of a listed target', async () => {
    const source = sourceOf(fakeSubscription());
    const [target] = await source.list(signal);
    expect(target && (await source.findHost(target, signal))).toBe('10.20.0.4');
  });

  // Fail closed: a list that is short of a subscription looks like one that is complete.
  test.each([
    ['403', 'targets-unavailable'],
    ['404-subscription', 'targets-unavailable'],
    ['503', 'targets-unavailable'],
    ['429-compute', 'targets-throttled'],
  ])('fails when one page of one subscription is answered with %s', async (name, code) => {
    for (const path of [listPath, secondPage]) {
      const arm = fakeSubscription();
      arm.answer(path, readError(name));
      const source = sourceOf(arm);
      await expect(source.list(signal)).rejects.toMatchObject({ code });
      await expect(source.find(web, signal)).rejects.toMatchObject({ code });
    }
  });

  test('asks again at once after a failure, but not before a throttled ARM wants it', async () => {
    const arm = fakeSubscription();
    const source = sourceOf(arm);
    arm.answer(listPath, readError('403'), readError('429-compute'), {
      text: readPayload('vm-list-page2'),
    });
    await expect(source.list(signal)).rejects.toMatchObject({ code: 'targets-unavailable' });
    await expect(source.list(signal)).rejects.toMatchObject({ code: 'targets-throttled' });
    source.clock.seconds = 16;
    await expect(source.list(signal)).rejects.toMatchObject({ code: 'targets-throttled' });
    expect(arm.calls).toEqual([listPath, listPath]);
    source.clock.seconds = 17;
    expect(await source.list(signal)).toHaveLength(1);
  });

  test.each([listPath, secondPage])(
    'lets no caller wait when %s is never answered',
    async (path) => {
      const arm = fakeSubscription();
      arm.answer(path, 'deaf');
      const source = sourceOf(arm, { deadlineMilliseconds: 30 });
      await expect(source.list(signal)).rejects.toMatchObject({ code: 'targets-timeout' });
    },
  );

  test('ends every page that ARM leaves open', async () => {
    const arm = fakeSubscription();
    await sourceOf(arm).list(signal);
    expect(arm.requests.map(({ abortSignal }) => abortSignal !== undefined)).toEqual([true, true]);
  });

  test("does not leave one caller's haste to the next", async () => {
    const arm = fakeSubscription();
    const source = sourceOf(arm);
    const hasty = new AbortController();
    const first = source.list(hasty.signal);
    const second = source.list(signal);
    hasty.abort();
    await expect(first).rejects.toMatchObject({ code: 'targets-timeout' });
    expect(await second).toHaveLength(2);
  });

  // A link carries the token of the broker along.
  test.each([
    'https://example.com/',
    'https://management.azure.com.example.com/',
    'https://evilmanagement.azure.com/',
    'https://management.azure.com:8443/',
    'http://management.azure.com/',
  ])('does not follow a link to %s', async (place) => {
    const arm = armThatLinksTo(place);
    await expect(sourceOf(arm).list(signal)).rejects.toMatchObject({ code: 'targets-unavailable' });
    expect(arm.calls).toEqual([listPath]);
  });

  test.each(['https://management.azure.com:443/', 'https://westeurope.management.azure.com/'])(
    'follows a link to %s',
    async (place) => {
      expect(await sourceOf(armThatLinksTo(place)).list(signal)).toHaveLength(2);
    },
  );

  test('leaves out a VM that cannot be described, logs it, and shows the others', async () => {
    const arm = fakeSubscription();
    const logged: unknown[] = [];
    const log = (...line: unknown[]): void => void logged.push(line);
    const page = readPayload('vm-list-page2');
    for (const odd of [
      page.replace('"vmId"', '"other"'),
      page.replaceAll('rg-app', 'gruppe-ä'),
      page.replace('"env": "dev"', '"env": "dev", "ENV": "prod"'),
    ]) {
      arm.answer(secondPage, { text: odd });
      const listed = await sourceOf(arm, { log }).list(signal);
      expect(listed.map(({ name }) => name)).toEqual(['vm-web-1']);
    }
    expect(logged).toHaveLength(3);
  });
});

describe('find by vmId', () => {
  test('reads the VM as it is now', async () => {
    const arm = fakeSubscription();
    const found = await sourceOf(arm).find(web, signal);
    expect(found).toMatchObject({ id: web.id, power: 'running', armId: vmPath });
    expect(arm.calls).toEqual([listPath, secondPage, vmPath]);
  });

  test('finds nothing for an id that no list has, without another call', async () => {
    const arm = fakeSubscription();
    const id = '00000000-0000-4000-8000-000000000000';
    expect(await sourceOf(arm).find({ kind: 'id', id }, signal)).toBeUndefined();
    expect(arm.calls).toEqual([listPath, secondPage]);
  });

  // A VM that was deleted and made again under its old name must not inherit sessions.
  test('finds nothing when the name belongs to another VM by now', async () => {
    const arm = fakeSubscription();
    arm.serve(readPayload('vm-linux-running').replace('bb5a"', 'ffff"'));
    expect(await sourceOf(arm).find(web, signal)).toBeUndefined();
  });

  test('finds nothing when the VM has gone since it was listed', async () => {
    const arm = fakeSubscription();
    arm.answer(vmPath, readError('404-resource'));
    expect(await sourceOf(arm).find(web, signal)).toBeUndefined();
  });
});
