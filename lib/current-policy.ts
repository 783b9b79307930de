import type { Policy } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { FollowerParts } from './policy-follower.ts';
import { PolicyFollower } from './policy-follower.ts';

/** The policy in force, which may become another one. */
export type CurrentPolicy = {
  /** The set in force. While there is none, decisions fail with `policy-unavailable` and the digest is `none`. */
  readonly policy: Policy;
  /** Looks now whether another set is published, and takes it. Never fails: in doubt the set in force stays. */
  readonly refresh: () => Promise<void>;
  /** Looks once in ten seconds, in the background; who comes twenty seconds after the last look waits for the next. */
  readonly keepFresh: () => Promise<void>;
  /** Fails while no set is in force. */
  readonly probe: () => Promise<void>;
};

const pollMilliseconds = 10_000;

// A process that was idle does not know what was published meanwhile: its first request waits, and no decision is older
// than this. Under load nobody waits, whether or not the store answers.
const idleMilliseconds = 20_000;

/** Opens the policy set that a store publishes. Nothing is asked before the first look. */
export function openCurrentPolicy(parts: FollowerParts): CurrentPolicy {
  const follower = new PolicyFollower(parts);
  let looking: Promise<void> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;

  const look = async (): Promise<void> => {
    await follower.look();
    lookedAt = parts.now().getTime();
    looking = undefined;
  };
  const refresh = async (): Promise<void> => (looking ??= look());
  return {
    policy: toPolicy(follower),
    refresh,
    keepFresh: async () => {
      const age = parts.now().getTime() - lookedAt;
      if (0 <= age && age < pollMilliseconds) return;
      const looked = refresh();
      if (age < 0 || idleMilliseconds <= age) await looked;
    },
    probe: async () => void requirePolicy(follower),
  };
}

/** Returns a policy that never becomes another one. */
export function toFixedPolicy(policy: Policy): CurrentPolicy {
  const settle = async (): Promise<void> => undefined;
  return { policy, refresh: settle, keepFresh: settle, probe: settle };
}

function toPolicy(follower: PolicyFollower): Policy {
  return {
    get profiles() {
      return follower.policy?.profiles ?? [];
    },
    get digest() {
      return follower.policy?.digest ?? 'none';
    },
    decide: (input) => requirePolicy(follower).decide(input),
    explain: (input, scope) => {
      const policy = requirePolicy(follower);
      return policy.explain?.(input, scope) ?? { decision: policy.decide(input), nearest: [] };
    },
  };
}

function requirePolicy({ policy }: PolicyFollower): Policy {
  if (policy !== undefined) return policy;
  // Not a deny: what policy denies ends sessions that are open.
  throw new BrokerError('policy-unavailable', 'Ask the operator to publish a sound policy set.', {
    cause: new Error('no published set has been taken yet'),
    retryAfterSeconds: pollMilliseconds / 1000,
  });
}
