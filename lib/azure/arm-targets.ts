import type { ArmId, VmId } from '../arm-id.ts';
import { parseVmId } from '../arm-id.ts';
import { BrokerError } from '../failure.ts';
import type { Target, TargetReference, TargetSource } from '../target.ts';
import type { ArmClient, ArmOptions } from './arm-client.ts';
import { createArmClient } from './arm-client.ts';
import { attempt } from './arm-failure.ts';
import { findAddress, findOwner, findPrimaryNicId } from './arm-network.ts';
import type { ArmVm } from './arm-vm.ts';
import { toTarget } from './arm-vm.ts';

/** How long a caller waits for ARM, in milliseconds. */
const callMilliseconds = 10_000;

// A large subscription takes longer to list than a caller waits. The list goes on, and the next caller has it.
const listMilliseconds = 60_000;

const freshMilliseconds = 60_000;

export type ArmTargetsOptions = ArmOptions & {
  /** The subscriptions (GUIDs) whose VMs are targets. No other is ever asked. */
  readonly subscriptions: readonly string[];
  readonly now: () => Date;
  /** How long a call may take, in milliseconds; 10 s when absent. */
  readonly deadlineMilliseconds?: number;
};

/** Where the address of a target is read: its primary network interface, and the VM that it must belong to. */
type Attachment = { readonly vm: VmId; readonly nic: ArmId | undefined };

type Source = ArmTargetsOptions & {
  readonly arm: ArmClient;
  readonly attachments: WeakMap<Target, Attachment>;
};

/**
 * The VMs of some subscriptions as targets. One that is named by its ARM id is read from ARM; one that is named by its
 * `vmId` is looked up in a list that is at most 60 s old, and then read. Instances of uniform scale sets are found by
 * ARM id only.
 */
export function createArmTargets(options: ArmTargetsOptions): TargetSource {
  const subscriptions = options.subscriptions.map((id) => id.toLowerCase());
  const source: Source = {
    ...options,
    subscriptions,
    arm: createArmClient(options),
    attachments: new WeakMap(),
  };
  const list = cacheList(
    async () =>
      attempt(AbortSignal.timeout(listMilliseconds), async (signal) => loadTargets(source, signal)),
    options.now,
  );
  const { deadlineMilliseconds = callMilliseconds } = options;
  const limit = (signal: AbortSignal): AbortSignal =>
    AbortSignal.any([signal, AbortSignal.timeout(deadlineMilliseconds)]);
  return {
    find: async (reference, signal) =>
      attempt(limit(signal), async (limited) => findTarget(source, list, reference, limited)),
    findHost: async (target, signal) =>
      attempt(limit(signal), async (limited) => findHost(source, target, limited)),
    list: async (signal) => attempt(limit(signal), list),
  };
}

async function findTarget(
  source: Source,
  list: () => Promise<readonly Target[]>,
  reference: TargetReference,
  signal: AbortSignal,
): Promise<Target | undefined> {
  if (reference.kind === 'arm') return readTarget(source, reference.armId, signal);
  const armId = (await list()).find(({ id }) => id === reference.id)?.armId;
  const target = armId === undefined ? undefined : await readTarget(source, armId, signal);
  // A VM that was made anew under the same name is another one.
  return target?.id === reference.id ? target : undefined;
}

async function readTarget(
  source: Source,
  armId: string,
  signal: AbortSignal,
): Promise<Target | undefined> {
  const id = parseVmId(armId);
  if (id === undefined || !source.subscriptions.includes(id.subscription)) return undefined;
  const vm = await source.arm.findVm(id, signal);
  return vm && describeVm(source, id, vm);
}

async function findHost(
  { arm, attachments }: Source,
  target: Target,
  signal: AbortSignal,
): Promise<string | undefined> {
  const attachment = attachments.get(target);
  if (attachment === undefined) throw new Error('the target was not given by this source');
  const { vm, nic } = attachment;
  if (nic?.subscription !== vm.subscription) return undefined;
  const found = await arm.findNic(nic, signal);
  if (found === undefined) return undefined;
  if (findOwner(found)?.canonical !== vm.canonical)
    throw new BrokerError(
      'target-changed',
      'The network interface of the target belongs to another VM now. Ask again in a minute.',
    );
  return findAddress(found);
}

async function loadTargets(source: Source, signal: AbortSignal): Promise<readonly Target[]> {
  const { arm, subscriptions } = source;
  const lists = subscriptions.map(async (subscription) => arm.listVms(subscription, signal));
  const vms = (await Promise.all(lists)).flat();
  return vms.flatMap((vm) => {
    const id = parseVmId(vm.id ?? '');
    if (id === undefined) source.log('arm-vm-unusable', { armId: vm.id, reason: 'unknown id' });
    return (id && describeVm(source, id, vm)) ?? [];
  });
}

// A VM that cannot be described is not shown: what policy cannot see it cannot forbid.
function describeVm({ attachments, log }: Source, vm: VmId, facts: ArmVm): Target | undefined {
  try {
    const target = toTarget(vm, facts);
    const references = facts.networkProfile?.networkInterfaces ?? [];
    attachments.set(target, { vm, nic: vm.kind === 'vm' ? findPrimaryNicId(references) : vm });
    return target;
  } catch (error) {
    log('arm-vm-unusable', { armId: vm.canonical, reason: String(error) });
    return undefined;
  }
}

/** One load at a time, kept while fresh. A throttled one is not repeated before ARM wants to be asked again. */
function cacheList<T>(load: () => Promise<T>, now: () => Date): () => Promise<T> {
  let loaded: Promise<T> | undefined;
  let freshUntil = 0;
  const keepFor = (milliseconds: number): void => {
    freshUntil = now().getTime() + milliseconds;
  };
  return async () => {
    if (loaded !== undefined && now().getTime() < freshUntil) return loaded;
    freshUntil = Number.POSITIVE_INFINITY;
    loaded = load();
    loaded.then(
      () => keepFor(freshMilliseconds),
      (error: unknown) => keepFor(error instanceof BrokerError ? retryMilliseconds(error) : 0),
    );
    return loaded;
  };
}

function retryMilliseconds({ details }: BrokerError): number {
  return (details.retryAfterSeconds ?? 0) * 1000;
}
