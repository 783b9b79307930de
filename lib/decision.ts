import type { Caller } from './caller.ts';
import type { Target } from './target.ts';
import type { Terms } from './terms.ts';

export type Action = 'connect.ssh' | 'connect.rdp' | 'connect.tcp';

/**
 * All that a decision depends on, as plain JSON, so that the audit entry that holds it lets anyone decide again.
 * Time zones are derived from `now` when the decision is made.
 */
export type DecisionInput = {
  readonly caller: {
    readonly id: string;
    readonly kind: Caller['kind'];
    readonly app: string;
    readonly issuer: string;
    readonly groups: readonly string[];
    readonly acrs: readonly string[];
  };
  readonly target: {
    readonly id: string;
    readonly name: string;
    readonly subscription: string;
    readonly resourceGroup: string;
    readonly os: Target['os'];
    readonly tags: Readonly<Record<string, string>>;
  };
  readonly action: Action;
  readonly context: {
    readonly port: number;
    /** Seconds since the epoch. */
    readonly now: number;
    readonly durationSeconds: number;
    /** Seconds since the caller signed in, where the token says so. */
    readonly signInAgeSeconds?: number;
    readonly sourceIp?: string;
    readonly reason?: string;
    readonly change?: string;
  };
};

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

/** A policy set in force. */
export type Policy = {
  /** Names the set: SHA-256 of its canonical text, base64url. */
  readonly digest: string;
  /** Decides, and never throws: whatever is in doubt is a deny. */
  readonly decide: (input: DecisionInput) => Decision;
};
