export const protocols = ['ssh', 'rdp', 'tcp'] as const;

export type Protocol = (typeof protocols)[number];

/** One service of a target that a caller may ask for. */
export type Service = { readonly protocol: Protocol; readonly port: number };

export type PowerState =
  | 'running'
  | 'stopped'
  | 'deallocated'
  | 'starting'
  | 'stopping'
  | 'deallocating'
  | 'unknown';

/** A VM (or another address that the operator listed), as its source describes it now. */
export type Target = {
  /** The `vmId` of ARM, or the GUID of the inventory; lower case. It survives a rename and dies with the VM. */
  readonly id: string;
  readonly name: string;
  readonly source: 'arm' | 'inventory';
  /** The canonical (lower-case) ARM resource id. */
  readonly armId?: string;
  /** The subscription id, or `inventory`. */
  readonly subscription: string;
  /** The name of the resource group in lower case, or the group of the inventory. */
  readonly resourceGroup: string;
  readonly os: 'linux' | 'windows' | 'unknown';
  readonly power: PowerState;
  /** Tag names in lower case, values as they are. */
  readonly tags: Readonly<Record<string, string>>;
  /** What a list offers; policy decides about any port all the same. */
  readonly services: readonly Service[];
};

/** How a caller names a target: its id, or its ARM resource id in canonical form. */
export type TargetReference =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'arm'; readonly armId: string };

/** How long the sources of targets may take for one request, in milliseconds. */
export const targetsMilliseconds = 12_000;

/** A source of targets. Every call fails with a `targets-…` code when the source is in doubt. */
export type TargetSource = {
  /** Returns the target with its power state as of now; undefined when the source has or shows none. */
  readonly find: (reference: TargetReference, signal: AbortSignal) => Promise<Target | undefined>;
  /**
   * Returns the canonical private address of a target that this source gave; undefined when it has none. Asked only
   * after policy has allowed, so that a forbidden target costs and takes what an absent one does.
   */
  readonly findHost: (target: Target, signal: AbortSignal) => Promise<string | undefined>;
  /** Returns all targets; their power state may be unknown. */
  readonly list: (signal: AbortSignal) => Promise<readonly Target[]>;
};
