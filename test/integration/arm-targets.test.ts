import { describe, expect, test } from 'vitest';
import { createArmTargets } from '../../lib/azure/arm-targets.ts';
import type { Target, TargetReference } from '../../lib/target.ts';
import { fakeArm, readPayload } from '../support/fake-arm.ts';
import type { FakeArm } from '../support/fake-arm.ts';

const subscription = '11111111-1111-4111-8111-111111111111';
const group = `/subscriptions/${subscription}/resourcegroups/rg-app`;
const vmPath = `${group}/providers/microsoft.compute/virtualmachines/vm-web-1`;
const nicPath = `${group}/providers/microsoft.network/networkinterfaces/nic-web-1`;
const { signal } = new AbortController();

function sourceOf(arm: FakeArm, log = (): void => {}) {
  const now = () => new Date('2026-01-05T12:00:00Z');
  return createArmTargets({ ...arm, subscriptions: [subscription], now, log });
}

async function findByArmId(arm: FakeArm, armId: string): Promise<Target | undefined> {
  return sourceOf(arm).find({ kind: 'arm', armId: armId.toLowerCase() }, signal);
}

/** Serves the running VM under the names that a payload of a network interface expects, and finds its host. */
async function findHostOf(nic: string, vmName: string, nicName: string) {
  const arm = fakeArm();
  const vm = readPayload('vm-linux-running').replaceAll('vm-web-1', vmName);
  const armId = arm.serve(vm.replaceAll('nic-web-1', nicName)).toLowerCase();
  arm.serve(nic);
  return findHost(arm, { kind: 'arm', armId });
}

async function findHost(arm: FakeArm, reference: TargetReference) {
  const source = sourceOf(arm);
  const target = await source.find(reference, signal);
  if (target === undefined) throw new Error('the target was not found');
  return source.findHost(target, signal);
}

describe('find', () => {
  test('describes a running VM with two calls in all, in canonical form', async () => {
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    const source = sourceOf(arm);

    const target = await source.find({ kind: 'arm', armId: vmPath }, signal);

    expect(target).toEqual({
      id: '2f1b0000-0000-4000-8000-00000000bb5a',
      name: 'vm-web-1',
      source: 'arm',
      armId: vmPath,
      subscription,
      resourceGroup: 'rg-app',
      os: 'linux',
      power: 'running',
      tags: { env: 'prod', owner: 'team-web' },
      services: [{ protocol: 'ssh', port: 22 }],
    });
    expect(target && (await source.findHost(target, signal))).toBe('10.20.0.4');
    expect(arm.calls).toEqual([vmPath, nicPath]);
  });

  test('asks for the instance view, and sends the token with every call', async () => {
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    await findHost(arm, { kind: 'arm', armId: vmPath });
    expect(arm.requests[0]?.url).toContain('%24expand=instanceView');
    expect(arm.requests[1]?.url).toContain('api-version=2024-05-01');
    const sent = arm.requests.map(({ headers }) => headers.get('authorization'));
    expect(sent).toEqual(['Bearer arm-token', 'Bearer arm-token']);
  });

  test.each([
    ['vm-linux-running', 'linux', 'running'],
    ['vm-windows-deallocated', 'windows', 'deallocated'],
    ['vm-linux-stopped', 'linux', 'stopped'],
    ['vm-linux-starting', 'linux', 'starting'],
    ['vm-linux-stopping', 'linux', 'stopping'],
    ['vm-linux-deallocating', 'linux', 'deallocating'],
    ['vm-linux-unknown', 'linux', 'unknown'],
    ['vm-no-power-status', 'linux', 'unknown'],
    ['vm-no-instance-view', 'linux', 'unknown'],
  ])('reads of %s that it is %s and %s', async (payload, os, power) => {
    const arm = fakeArm();
    const armId = arm.serve(readPayload(payload));
    expect(await findByArmId(arm, armId)).toMatchObject({ os, power });
  });

  test('offers RDP on Windows, and nothing where the system is not known', async () => {
    const windows = readPayload('vm-windows-deallocated');
    const arm = fakeArm();
    const armId = arm.serve(windows);
    expect(await findByArmId(arm, armId)).toMatchObject({
      services: [{ protocol: 'rdp', port: 3389 }],
    });
    arm.serve(windows.replace('"Windows"', '"Plan 9"'));
    expect(await findByArmId(arm, armId)).toMatchObject({ os: 'unknown', services: [] });
  });

  test('finds a member of a flexible scale set like any VM', async () => {
    const arm = fakeArm();
    const armId = arm.serve(readPayload('vm-flex-vmss-member'));
    expect(await findByArmId(arm, armId)).toMatchObject({ name: 'ss-flex_3f2a' });
  });

  test('finds an instance of a uniform scale set, and its address in the list of its own', async () => {
    const arm = fakeArm();
    const armId = arm.serve(readPayload('vmss-uniform-vm')).toLowerCase();
    arm.answer(`${armId}/networkInterfaces`, { text: readPayload('vmss-uniform-nic-list') });
    expect(await findByArmId(arm, armId)).toMatchObject({
      id: '42af9fdf-b906-4ad7-9905-8316209ff619',
      name: 'ss-uni_3',
      power: 'running',
      os: 'windows',
    });
    expect(await findHost(arm, { kind: 'arm', armId })).toBe('10.20.4.7');
    expect(arm.requests.at(-1)?.url).toContain('api-version=2018-10-01');
  });

  test('asks nothing about a subscription that is not configured, nor about another resource', async () => {
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    const foreign = vmPath.replace(subscription, '99999999-9999-4999-8999-999999999999');
    for (const armId of [foreign, nicPath, 'vm-web-1'])
      expect(await findByArmId(arm, armId)).toBeUndefined();
    expect(arm.calls).toEqual([]);
  });

  test('reads the vmId and the names of tags in lower case, and values as they are', async () => {
    const arm = fakeArm();
    const vm = readPayload('vm-linux-running')
      .replace('2f1b0000-0000-4000-8000-00000000bb5a', '2F1B0000-0000-4000-8000-00000000BB5A')
      .replace('"env": "prod"', '"Env": "Prod"');
    expect(await findByArmId(arm, arm.serve(vm))).toMatchObject({
      id: '2f1b0000-0000-4000-8000-00000000bb5a',
      tags: { env: 'Prod', owner: 'team-web' },
    });
  });

  // A forbid may hang on a tag: to pick one of the two, or none, could silence it.
  test('hides a VM with two tags that differ only in case, and logs it', async () => {
    const arm = fakeArm();
    const logged: unknown[] = [];
    const vm = readPayload('vm-linux-running').replace('"owner"', '"ENV"');
    const armId = arm.serve(vm).toLowerCase();
    const log = (...line: unknown[]): void => void logged.push(line);

    expect(await sourceOf(arm, log).find({ kind: 'arm', armId }, signal)).toBeUndefined();

    const reason = 'Error: two tags have names that differ only in case';
    expect(logged).toEqual([['arm-vm-unusable', { armId, reason }]]);
  });

  test('hides a VM without a vmId', async () => {
    const arm = fakeArm();
    const armId = arm.serve(readPayload('vm-linux-running').replace('"vmId"', '"other"'));
    expect(await findByArmId(arm, armId)).toBeUndefined();
  });
});

describe('findHost', () => {
  test.each([
    ['nic-simple', 'vm-web-1', 'nic-web-1', '10.20.0.4'],
    ['nic-secondary-first', 'vm-fw-1', 'nic-fw-1-data', '10.20.0.8'],
    ['nic-dual-stack', 'vm-dual', 'nic-dual', '10.20.0.12'],
    ['nic-prefix-secondary', 'vm-aks', 'nic-aks', '10.20.0.14'],
    ['nic-with-public-ip', 'vm-pub', 'nic-pub', '10.20.0.20'],
    ['nic-no-ip', 'vm-noip', 'nic-noip', undefined],
  ])('reads the primary private address of %s', async (payload, vm, nic, host) => {
    expect(await findHostOf(readPayload(payload), vm, nic)).toBe(host);
  });

  test("reads Azure's own example of a network interface", async () => {
    const [, nic = ''] = /"body": ([^]*\})\s*\}\s*\}\s*\}\s*$/.exec(
      readPayload('NetworkInterfaceGet'),
    ) ?? [''];
    const renamed = nic.replaceAll('/subid/', `/${subscription}/`).replaceAll('/rg1/', '/rg-app/');
    expect(await findHostOf(renamed, 'vm1', 'test-nic')).toBe('172.20.2.4');
  });

  test('takes IPv6 in canonical form where there is no IPv4', async () => {
    const nic = readPayload('nic-dual-stack')
      .replace('"privateIPAddress": "10.20.0.12",', '')
      .replace('fd00:20::4', 'FD00:20:0:0:0:0:0:4');
    expect(await findHostOf(nic, 'vm-dual', 'nic-dual')).toBe('fd00:20::4');
  });

  test.each(['10.20.0.4/28', '010.20.0.4', '0x0a.20.0.4', '１0.20.0.4', 'localhost', ''])(
    'takes "%s" for no address',
    async (text) => {
      const nic = readPayload('nic-simple').replace('10.20.0.4', text);
      expect(await findHostOf(nic, 'vm-web-1', 'nic-web-1')).toBeUndefined();
    },
  );

  test('does not make do with the IPv4 address of a secondary configuration', async () => {
    const nic = readPayload('nic-secondary-first').replace('10.20.0.8', '10.20.0.16/28');
    expect(await findHostOf(nic, 'vm-fw-1', 'nic-fw-1-data')).toBeUndefined();
  });

  test('reads the primary one of two network interfaces', async () => {
    const arm = fakeArm(['vm-two-nics', 'nic-secondary-first']);
    const armId = vmPath.replace('vm-web-1', 'vm-fw-1');
    expect(await findHost(arm, { kind: 'arm', armId })).toBe('10.20.0.8');
    expect(arm.calls.at(-1)).toContain('/nic-fw-1-data');
  });

  test('names no address where two network interfaces are both secondary', async () => {
    const arm = fakeArm(['nic-secondary-first']);
    const vm = readPayload('vm-two-nics').replaceAll('"primary": true', '"primary": false');
    const armId = arm.serve(vm).toLowerCase();
    expect(await findHost(arm, { kind: 'arm', armId })).toBeUndefined();
  });

  test('names no address for a VM without a network interface, or with one that has gone', async () => {
    const arm = fakeArm(['vm-no-nics', 'vm-linux-running']);
    const armId = vmPath.replace('vm-web-1', 'vm-nonic');
    expect(await findHost(arm, { kind: 'arm', armId })).toBeUndefined();
    expect(await findHost(arm, { kind: 'arm', armId: vmPath })).toBeUndefined();
  });

  // The address may be somebody else's by now.
  test.each([
    ['of another VM', readPayload('nic-other-vm')],
    ['of no VM', readPayload('nic-simple').replace('"virtualMachine"', '"formerly"')],
    [
      'of a VM with the same name in another group',
      readPayload('nic-simple').replace(/rg-app(\/providers\/Microsoft.Compute)/, 'rg-evil$1'),
    ],
  ])('fails with target-changed when the network interface is %s', async (_, nic) => {
    await expect(findHostOf(nic, 'vm-web-1', 'nic-web-1')).rejects.toMatchObject({
      code: 'target-changed',
    });
  });

  test('compares ids without regard to case', async () => {
    const nic = readPayload('nic-simple').replace(
      /rg-app(\/providers\/Microsoft.Compute)/,
      'RG-APP$1',
    );
    expect(await findHostOf(nic, 'vm-web-1', 'nic-web-1')).toBe('10.20.0.4');
  });

  test('does not look into another subscription, whatever a VM says', async () => {
    const arm = fakeArm();
    const foreign = '99999999-9999-4999-8999-999999999999';
    const vm = readPayload('vm-linux-running').replace(
      /[0-9a-f-]{36}(\/resourceGroups\/rg-app\/providers\/Microsoft.Network)/,
      `${foreign}$1`,
    );
    const armId = arm.serve(vm).toLowerCase();
    expect(await findHost(arm, { kind: 'arm', armId })).toBeUndefined();
    expect(arm.calls).toEqual([vmPath]);
  });

  test('refuses a target that another source gave', async () => {
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    const target = await findByArmId(arm, vmPath);
    if (target === undefined) throw new Error('the target was not found');
    await expect(sourceOf(arm).findHost(target, signal)).rejects.toMatchObject({
      cause: new Error('the target was not given by this source'),
    });
  });
});
