import * as z from 'zod';
import { parseAddress } from '../address.ts';
import type { ArmId } from '../arm-id.ts';
import { parseArmId } from '../arm-id.ts';

const ipConfigurationShape = z.object({
  properties: z.object({
    primary: z.boolean().nullish(),
    privateIPAddress: z.string().nullish(),
  }),
});

const nicShape = z.object({
  properties: z.object({
    primary: z.boolean().nullish(),
    virtualMachine: z.object({ id: z.string() }).nullish(),
    ipConfigurations: z.array(ipConfigurationShape).nullish(),
  }),
});

/** A network interface as ARM describes it. */
export type Nic = z.infer<typeof nicShape>;

type NicReference = { readonly id?: string; readonly primary?: boolean };

/** Returns the network interface in a body of ARM, or throws. */
export function parseNic(body: unknown): Nic {
  return nicShape.parse(body);
}

/** Returns the primary network interface in a list of ARM, or throws when the body is none. */
export function findPrimaryNic(body: unknown): Nic | undefined {
  const { value } = z.object({ value: z.array(nicShape) }).parse(body);
  return findPrimary(value, (nic) => nic.properties.primary);
}

/** Returns the id of the primary network interface among those that a VM names. */
export function findPrimaryNicId(references: readonly NicReference[]): ArmId | undefined {
  const id = parseArmId(findPrimary(references, (reference) => reference.primary)?.id ?? '');
  return id?.kind === 'nic' ? id : undefined;
}

/** Returns the id of the VM that the network interface says it is attached to. */
export function findOwner(nic: Nic): ArmId | undefined {
  return parseArmId(nic.properties.virtualMachine?.id ?? '');
}

/**
 * Returns the canonical private address: that of the primary configuration, which is IPv4, else the first IPv6. A
 * prefix, which some secondary configurations hold, is not an address.
 */
export function findAddress(nic: Nic): string | undefined {
  const configurations = (nic.properties.ipConfigurations ?? []).map(
    ({ properties }) => properties,
  );
  const primary = findPrimary(configurations, (configuration) => configuration.primary);
  const addresses = configurations.map(({ privateIPAddress }) =>
    parseAddress(privateIPAddress ?? ''),
  );
  return (
    parseAddress(primary?.privateIPAddress ?? '') ??
    addresses.find((address) => address?.includes(':'))
  );
}

/** ARM leaves out `primary` where there is only one. */
function findPrimary<T>(
  items: readonly T[],
  isPrimary: (item: T) => boolean | null | undefined,
): T | undefined {
  return items.length === 1 ? items[0] : items.find((item) => isPrimary(item) === true);
}
