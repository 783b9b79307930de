import * as z from 'zod';
import { createArmPower } from '../../lib/azure/arm-power.ts';
import type { Power } from '../../lib/power.ts';
import type { Target } from '../../lib/target.ts';
import type { FakeArm } from './fake-arm.ts';
import { readPayload } from './fake-arm.ts';

export const subscription = '11111111-1111-4111-8111-111111111111';

export const vmPath = `/subscriptions/${subscription}/resourcegroups/rg-app/providers/microsoft.compute/virtualmachines/vm-win-1`;

/** The VM at that path, as the source of targets gives it. */
export const target: Target = {
  id: '2f1b0000-0000-4000-8000-00000000f86d',
  name: 'vm-win-1',
  source: 'arm',
  armId: vmPath,
  subscription,
  resourceGroup: 'rg-app',
  os: 'windows',
  power: 'deallocated',
  tags: {},
  services: [],
};

const acceptedShape = z.object({ status: z.int(), headers: z.record(z.string(), z.string()) });

/** The answer of ARM that accepts a change. */
export const accepted = {
  ...acceptedShape.parse(JSON.parse(readPayload('start-202.headers'))),
  text: '',
};

/** The URL of the operation that it names. */
export const operation = accepted.headers['azure-asyncoperation'] ?? '';

/** Returns what starts and stops the VMs of a fake. */
export function powerOf(
  arm: FakeArm,
  changes: Partial<Parameters<typeof createArmPower>[0]> = {},
): Power {
  return createArmPower({ ...arm, subscriptions: [subscription], log: () => {}, ...changes });
}
