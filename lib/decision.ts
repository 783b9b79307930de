import * as z from 'zod';
import type { Change } from './explain-view.ts';
import type { Service } from './target.ts';
import type { Terms } from './terms.ts';

/**
 * All that a decision depends on, as plain JSON, so that the audit entry that holds it lets anyone decide again.
 * Time zones are derived from `now` when the decision is made.
 */
export const decisionInputShape = z.strictObject({
  caller: z.strictObject({
    id: z.string(),
    kind: z.enum(['person', 'workload']),
    app: z.string(),
    issuer: z.string(),
    groups: z.array(z.string()),
    acrs: z.array(z.string()),
  }),
  target: z.strictObject({
    id: z.string(),
    name: z.string(),
    subscription: z.string(),
    resourceGroup: z.string(),
    os: z.enum(['linux', 'windows', 'unknown']),
    tags: z.record(z.string(), z.string()),
  }),
  action: z.enum(['connect.ssh', 'connect.rdp', 'connect.tcp']),
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
  }),
});

export type DecisionInput = z.infer<typeof decisionInputShape>;

/** A decision is a value: allow with terms, or deny; always with the ids of the policies behind it and the digest of their set. */
export type Decision =
  | {
      readonly outcome: 'allow';
      readonly policies: readonly string[];
      readonly digest: string;
      readonly terms: Terms;
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
  /** Decides, and never throws: whatever is in doubt is a deny. */
  readonly decide: (input: DecisionInput) => Decision;
  /** Decides as `decide`, and looks for what would change it, in up to 300 decisions. Absent where a set cannot be searched. */
  readonly explain?: (input: DecisionInput, scope: ExplainScope) => Explanation;
};
