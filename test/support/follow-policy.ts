import { type CurrentPolicy, openCurrentPolicy } from '../../lib/current-policy.ts';
import type { Policy } from '../../lib/decision.ts';
import { toDigest } from '../../lib/policy-digest.ts';
import type { FollowerParts } from '../../lib/policy-follower.ts';
import { type Finding, type PolicyFile, scanPolicies } from '../../lib/policy-scan.ts';
import { memoryTable } from './memory-table.ts';
import { decisionInput } from './policies.ts';
import { type MemoryPolicyStore, memoryPolicyStore } from './policy-store.ts';
import { memoryAudit, testClock } from './test-broker.ts';

/** A process that follows the sets of a store, with all that can be changed about it. */
export type Following = {
  readonly current: CurrentPolicy;
  readonly store: MemoryPolicyStore;
  readonly clock: ReturnType<typeof testClock>;
  readonly logged: string[];
};

/** Starts a process that follows a store in memory; what is to be shared with another process is given. */
export function followPolicy(
  changes: Partial<FollowerParts> & { readonly store?: MemoryPolicyStore } = {},
): Following {
  const { store = memoryPolicyStore(), ...parts } = changes;
  const clock = testClock();
  const logged: string[] = [];
  const current = openCurrentPolicy({
    audit: memoryAudit(),
    state: memoryTable(),
    source: store.source,
    check: async (files) => [...scanPolicies(files), ...files.flatMap(findMissingId)],
    load: readPolicy,
    now: clock.now,
    log: (event) => void logged.push(event),
    ...parts,
  });
  return { current, store, clock, logged };
}

/** Returns the outcome of a decision that `sets.open` allows and `sets.shut` denies. */
export function decide({ policy }: CurrentPolicy): string {
  return policy.decide(decisionInput()).outcome;
}

function findMissingId({ name, text }: PolicyFile): readonly Finding[] {
  return text.startsWith('@id(')
    ? []
    : [{ file: name, line: 1, detail: 'Give the policy an @id.' }];
}

// As much of Cedar as `sets` needs. The engine itself is asked where sets come from a real store.
function readPolicy(files: readonly PolicyFile[]): Policy {
  const digest = toDigest(files);
  const [, id = '', effect] = /^@id\("(.*?)"\) (\w+)/.exec(files[0]?.text ?? '') ?? [];
  const facts = { policies: [id], digest };
  return {
    digest,
    decide: () =>
      effect === 'permit'
        ? { outcome: 'allow', ...facts, terms: {} }
        : { outcome: 'deny', ...facts, advice: [] },
  };
}
