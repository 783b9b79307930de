import * as z from 'zod';
import type { VmId } from '../arm-id.ts';
import { parseVmId } from '../arm-id.ts';
import type { Power } from '../power.ts';
import { toChanged } from '../same-target.ts';
import type { PowerState, Target } from '../target.ts';
import type { ArmClient, ArmOptions, PowerChange } from './arm-client.ts';
import { createArmClient } from './arm-client.ts';
import { attempt, findStatus } from './arm-failure.ts';
import { explainRefusal, toStartFailure } from './arm-start-failure.ts';
import { readPower } from './arm-vm.ts';

/** How long a caller waits for ARM, in milliseconds. */
const callMilliseconds = 10_000;

export type ArmPowerOptions = ArmOptions & {
  /** The subscriptions (GUIDs) whose VMs are targets. No other is ever asked. */
  readonly subscriptions: readonly string[];
  /** How long a call may take, in milliseconds; 10 s when absent. */
  readonly deadlineMilliseconds?: number;
};

// ARM refuses a change while another goes on, and that may be the very same one.
const underWay: Record<PowerChange, ReadonlySet<PowerState>> = {
  start: new Set(['starting', 'running']),
  deallocate: new Set(['deallocating', 'deallocated']),
};

const operationShape = z.object({
  status: z.string(),
  error: z.object({ code: z.string(), message: z.string().nullish() }).nullish(),
});

/** The power of the VMs of some subscriptions, instances of uniform scale sets included. */
export function createArmPower(options: ArmPowerOptions): Power {
  const arm = createArmClient(options);
  const { deadlineMilliseconds = callMilliseconds, log } = options;
  const subscriptions = new Set(options.subscriptions.map((id) => id.toLowerCase()));
  const ask = async <T>(
    target: Target,
    signal: AbortSignal,
    call: (id: VmId, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(deadlineMilliseconds)]);
    return attempt(limit, async (limited) => call(findId(target, subscriptions), limited));
  };
  const change = async (
    id: VmId,
    wanted: PowerChange,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    try {
      return await arm.changePower(id, wanted, signal);
    } catch (error) {
      const status = findStatus(error);
      if (status === 404) throw toChanged();
      if (status === 403) log('arm-forbidden', { armId: id.canonical, action: wanted });
      const power = status === 409 ? await findPower(arm, id, signal) : undefined;
      if (power !== undefined && underWay[wanted].has(power)) return undefined;
      throw wanted === 'start' ? toStartFailure(error, power) : error;
    }
  };
  return {
    start: async (target, signal) =>
      ask(target, signal, async (id, limited) => change(id, 'start', limited)),
    checkStart: async (target, operation, signal) =>
      ask(target, signal, async (id, limited) => checkOperation(arm, id, operation, limited)),
    deallocate: async (target, signal) => {
      await ask(target, signal, async (id, limited) => change(id, 'deallocate', limited));
    },
  };
}

function findId({ armId = '' }: Target, subscriptions: ReadonlySet<string>): VmId {
  const id = parseVmId(armId);
  if (id === undefined || !subscriptions.has(id.subscription))
    throw new Error('the target is in no subscription of this broker');
  return id;
}

async function findPower(
  arm: ArmClient,
  id: VmId,
  signal: AbortSignal,
): Promise<PowerState | undefined> {
  const vm = await arm.findVm(id, signal);
  return vm && readPower(vm);
}

async function checkOperation(
  arm: ArmClient,
  id: VmId,
  operation: string,
  signal: AbortSignal,
): Promise<void> {
  const { status, error } = operationShape.parse(await readOperation(arm, id, operation, signal));
  if (status === 'Failed' || status === 'Canceled') throw explainRefusal(error);
}

async function readOperation(
  arm: ArmClient,
  id: VmId,
  operation: string,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await arm.readOperation(id, operation, signal);
  } catch (error) {
    // ARM forgets an operation after a while, and its reader may have another right than its maker.
    const status = findStatus(error);
    if (status === 403 || status === 404) return { status: 'Unknown' };
    throw error;
  }
}
