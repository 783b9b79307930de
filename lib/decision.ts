import * as z from 'zod';
import type { Change } from './explain-view.ts';
import type { Need } from './need.ts';
import type { Service } from './target.ts';
import type { Terms } from './terms.ts';
import { termsShape } from './terms.ts';

const callerMembers = {
  id: z.string(),
  app: z.string(),
  issuer: z.string(),
  groups: z.array(z.string()),
  acrs: z.array(z.string()),
};

/**
 * All that a decision depends on, as plain JSON, so that the audit entry that holds it lets anyone decide again.
 * Time zones are derived from `now` when the decision is made.
 */
export const decisionInputShape = z.strictObject({
  caller: z.strictObject({ ...callerMembers, kind: z.enum(['person', 'workload']) }),
  /** The person for whom a workload acts: policy decides about both, and both must be allowed. */
  onBehalfOf: z
    .strictObject({
      ...callerMembers,
      kind: z.literal('person'),
      /** Seconds since the person signed in, where that is known. */
      signInAgeSeconds: z.int().exactOptional(),
    })
    .exactOptional(),
  /** The delegation by which the workload acts, where it is not its token that says so. */
  delegation: z
    .strictObject({
      id: z.uuid(),
      terms: termsShape,
      /** When it ends, in seconds since the epoch. */
      expiresAt: z.int(),
    })
    .exactOptional(),
  target: z.strictObject({
    id: z.string(),
    name: z.string(),
    subscription: z.string(),
    resourceGroup: z.string(),
    os: z.enum(['linux', 'windows', 'unknown']),
    tags: z.record(z.string(), z.string()),
  }),
  action: z.enum(['connect.ssh', 'connect.rdp', 'connect.tcp', 'start']),
  context: z.strictObject({
    port: z.int(),
    /** Seconds since the epoch. */
    now: z.int(),
    durationSeconds: z.int(),
    /** Seconds since the caller signed in, where the token says so. */
    signInAgeSeconds: z.int().exactOptional(),
    sourceIp: z.string().exactOptional(),
    reason: z.string().exactOptional(),
    change: z.string().exactOptional(),
    /** The bundle of terms that is asked for: only offers of this name count. */
    profile: z.string().exactOptional(),
    /** Who has approved this very request, and as a member of which group. */
    approvals: z.array(z.strictObject({ by: z.string(), group: z.string() })).exactOptional(),
  }),
});

export type DecisionInput = z.infer<typeof decisionInputShape>;

/**
 * A decision is a value: allow with terms, needs (what is missing for an offer to apply), or deny; always with the ids of
 * the policies behind it and the digest of their set. Where a workload acts for a person, the ids behind the decision
 * about the person follow, as `onBehalfOf:<id>`.
 */
export type Decision =
  | {
      readonly outcome: 'allow';
      readonly policies: readonly string[];
      readonly digest: string;
      readonly terms: Terms;
    }
  | {
      readonly outcome: 'needs';
      readonly policies: readonly string[];
      readonly digest: string;
      /** What will apply once the needs are met. */
      readonly terms: Terms;
      /** At least one. */
      readonly needs: readonly Need[];
    }
  | {
      readonly outcome: 'deny';
      readonly policies: readonly string[];
      readonly digest: string;
      /** What the forbidding policies tell the caller to do instead. */
      readonly advice: readonly string[];
    };

/** A decision, and what would turn it. */
export type Explanation = {
  readonly decision: Decision;
  /** Changes that each turn a deny into an allow, the smallest first; not all that there are. */
  readonly nearest: readonly Change[];
  /** The minute within the next seven days, in seconds since the epoch, in which an allow turns by time alone. */
  readonly endsAt?: number;
};

/** Where changes are looked for. */
export type ExplainScope = {
  /** What else the target offers. */
  readonly services: readonly Service[];
  /** Whether to look at facts that are not the caller's to change, and to tell what policies name. */
  readonly isReader: boolean;
};

/** A policy set in force. */
export type Policy = {
  /** Names the set: SHA-256 of its canonical text, base64url. */
  readonly digest: string;
  /** The names of the bundles of terms that its permits give; absent where none has a name. */
  readonly profiles?: readonly string[];
  /** Decides about the caller and whom they act for, and never throws: whatever is in doubt is a deny. */
  readonly decide: (input: DecisionInput) => Decision;
  /** Decides as `decide`, and looks for what would change it, in up to 300 decisions. Absent where a set cannot be searched. */
  readonly explain?: (input: DecisionInput, scope: ExplainScope) => Explanation;
};
