import type { Terms } from './terms.ts';

/** The application roles of the broker, as they stand in a token's `roles` claim. */
export const roles = [
  'Session.Request',
  'Session.Read.All',
  'Session.Terminate.All',
  'Approval.Decide',
  'Policy.Read',
  'Audit.Read',
  'Lock.Manage',
  'Gateway',
] as const;

export type Role = (typeof roles)[number];

/** A person for whom a workload acts: what is known of them, as of when they signed in or gave the delegation. */
export type Person = {
  readonly id: string;
  readonly issuer: string;
  readonly app: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly signedInAt?: number;
};

/** What of a delegation binds the workload that acts under it. */
export type HeldDelegation = {
  readonly id: string;
  readonly terms: Terms;
  /** The ids of the targets that it is about. */
  readonly targets: readonly string[];
  readonly expiresAt: Date;
  /** How many sessions it is good for; any number when absent. */
  readonly maxSessions?: number;
};

/**
 * A person or workload whose identity is proven by a token.
 *
 * INVARIANT: `id` is `tenant.subject` of immutable claims (`tid` and `oid` at Entra), never a name; names are shown,
 * never compared.
 */
export type Caller = {
  readonly id: string;
  readonly kind: 'person' | 'workload';
  readonly issuer: string;
  /** The client application that holds the token. */
  readonly app: string;
  readonly name: string;
  /** Group ids; `unknown` when the token says that there are more than it lists (group overage). */
  readonly groups: readonly string[] | 'unknown';
  readonly roles: readonly Role[];
  /** Authentication contexts that the caller has satisfied (`acrs`). */
  readonly acrs: readonly string[];
  /** Whether the client says that it can answer a claims challenge (`xms_cc` holds `cp1`). */
  readonly canStepUp: boolean;
  /** When the caller signed in, in seconds since the epoch, where the token says so. */
  readonly signedInAt?: number;
  /** The person for whom a workload acts. Policy decides about both. */
  readonly onBehalfOf?: Person;
  /** The delegation by which it does; absent when its token says so. */
  readonly delegation?: HeldDelegation;
};
