import type { VirtualMachine } from '@azure/arm-compute';
import * as z from 'zod';
import type { VmId } from '../arm-id.ts';
import type { PowerState, Service, Target } from '../target.ts';

/** What is read of a VM, the same for a VM and for an instance of a scale set. */
export type ArmVm = Pick<
  VirtualMachine,
  'id' | 'name' | 'vmId' | 'tags' | 'storageProfile' | 'networkProfile'
> & {
  readonly instanceView?: { readonly statuses?: readonly { readonly code?: string }[] };
};

const powerStates: ReadonlyMap<string, PowerState> = new Map([
  ['PowerState/running', 'running'],
  ['PowerState/stopped', 'stopped'],
  ['PowerState/deallocated', 'deallocated'],
  ['PowerState/starting', 'starting'],
  ['PowerState/stopping', 'stopping'],
  ['PowerState/deallocating', 'deallocating'],
]);

const services: Record<Target['os'], readonly Service[]> = {
  linux: [{ protocol: 'ssh', port: 22 }],
  windows: [{ protocol: 'rdp', port: 3389 }],
  unknown: [],
};

const maxTagCharacters = 14_000;

/**
 * Makes a target of what ARM says. Throws when the VM has no `vmId`, or two tags whose names differ only in case: no
 * policy could tell which of them counts, and to drop them could silence a `forbid`.
 */
export function toTarget(id: VmId, vm: ArmVm): Target {
  const os = readOs(vm);
  const { subscription, resourceGroup } = id;
  return {
    id: readVmId(vm),
    name: vm.name ?? (id.kind === 'vm' ? id.name : `${id.scaleSet}_${id.instance}`),
    source: 'arm',
    armId: id.canonical,
    subscription,
    resourceGroup,
    os,
    power: readPower(vm),
    tags: readTags(vm.tags ?? {}),
    services: services[os],
  };
}

function readVmId(vm: ArmVm): string {
  const id = z.guid().safeParse(vm.vmId);
  if (!id.success) throw new Error('the VM has no vmId');
  return id.data.toLowerCase();
}

// Not `instanceView.osName`: the agent reports that, so it is absent when the VM is stopped and it can lie.
function readOs(vm: ArmVm): Target['os'] {
  const os = vm.storageProfile?.osDisk?.osType?.toLowerCase();
  return os === 'linux' || os === 'windows' ? os : 'unknown';
}

/** Returns what the VM is doing, as its instance view says; `unknown` when it does not say. */
export function readPower(vm: ArmVm): PowerState {
  const codes = (vm.instanceView?.statuses ?? []).map(({ code }) => powerStates.get(code ?? ''));
  return codes.find((power) => power !== undefined) ?? 'unknown';
}

function readTags(tags: Readonly<Record<string, string>>): Target['tags'] {
  const entries = Object.entries(tags).map(([name, value]) => [name.toLowerCase(), value] as const);
  if (new Set(entries.map(([name]) => name)).size < entries.length)
    throw new Error('two tags have names that differ only in case');
  // What a decision was made on is recorded whole, and must fit.
  if (maxTagCharacters < JSON.stringify(entries).length)
    throw new Error('the tags are longer than a decision can hold');
  return Object.fromEntries(entries);
}
