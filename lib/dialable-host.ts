import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';
import type { PowerState, Target } from './target.ts';

// A VM in one of these states cannot answer; any other is worth a try.
const downStates: ReadonlySet<PowerState> = new Set([
  'stopped',
  'deallocated',
  'stopping',
  'deallocating',
]);

/** Whether the target cannot answer because of its power state. */
export function isDown({ power }: Pick<Target, 'power'>): boolean {
  return downStates.has(power);
}

/** Returns the address that the gateway may dial, or fails with the reason why there is none now. */
export async function findDialableHost(
  broker: Broker,
  target: Target,
  signal: AbortSignal,
): Promise<string> {
  if (isDown(target))
    throw new BrokerError(
      'target-stopped',
      `The target is ${target.power}. Start it, or ask with start, then ask again.`,
    );
  const host = await broker.targets.findHost(target, signal);
  if (host === undefined)
    throw new BrokerError(
      'target-without-address',
      'The target has no private address. Check its network interface, then ask again.',
    );
  if (!broker.mayDial(host))
    throw new BrokerError(
      'address-forbidden',
      'The address of the target is of a kind that gateways never dial. Ask the operator to allow its network.',
    );
  return host;
}
