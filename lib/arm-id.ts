type Place = {
  /** The whole id in lower case: equal ids have equal text. */
  readonly canonical: string;
  readonly subscription: string;
  readonly resourceGroup: string;
};

/** The id of a VM, of an instance of a uniform scale set, or of a network interface, all in lower case. */
export type ArmId =
  | (Place & { readonly kind: 'vm'; readonly name: string })
  | (Place & {
      readonly kind: 'scale-set-vm';
      readonly scaleSet: string;
      readonly instance: string;
    })
  | (Place & { readonly kind: 'nic'; readonly name: string });

/** The id of what a caller may connect to. */
export type VmId = Exclude<ArmId, { readonly kind: 'nic' }>;

const guid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const group = '[a-z0-9_().-]{0,89}[a-z0-9_()-]';
// A name starts with a letter, a digit or `_`, so `.` and `..` are none: a URL parser would walk up.
const name = '[a-z0-9_](?:[a-z0-9_.-]{0,78}[a-z0-9_-])?';
const instance = '0|[1-9][0-9]{0,9}';

const pattern = new RegExp(
  String.raw`^/subscriptions/(${guid})/resourcegroups/(${group})/providers/(?:${[
    String.raw`microsoft\.compute/virtualmachines/(${name})`,
    String.raw`microsoft\.compute/virtualmachinescalesets/(${name})/virtualmachines/(${instance})`,
    String.raw`microsoft\.network/networkinterfaces/(${name})`,
  ].join('|')})$`,
);

/**
 * Returns the parts of an ARM resource id, or undefined for anything that is not exactly one: other resources, other
 * characters than ASCII, percent-encoding, doubled or trailing slashes. Ids that differ only in case give equal parts.
 */
export function parseArmId(text: string): ArmId | undefined {
  // Before lower-casing: the Kelvin sign (U+212A) becomes a plain "k".
  if (!/^[\x21-\x7e]+$/.test(text)) return undefined;
  const canonical = text.toLowerCase();
  const [, subscription, resourceGroup, vm, scaleSet, vmInstance, nic] =
    pattern.exec(canonical) ?? [];
  if (subscription === undefined || resourceGroup === undefined) return undefined;
  const place = { canonical, subscription, resourceGroup };
  if (vm !== undefined) return { ...place, kind: 'vm', name: vm };
  if (nic !== undefined) return { ...place, kind: 'nic', name: nic };
  if (scaleSet === undefined || vmInstance === undefined) return undefined;
  return { ...place, kind: 'scale-set-vm', scaleSet, instance: vmInstance };
}

/** As `parseArmId`, for what a caller may connect to. */
export function parseVmId(text: string): VmId | undefined {
  const id = parseArmId(text);
  return id?.kind === 'nic' ? undefined : id;
}
