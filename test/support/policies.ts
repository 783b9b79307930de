import type { Log } from '../../lib/broker.ts';
import type { DecisionInput, Policy } from '../../lib/decision.ts';
import { checkPolicies } from '../../lib/policy-check.ts';
import { createPolicyEngine, type PolicyEngine } from '../../lib/policy-engine.ts';
import { loadPolicy } from '../../lib/policy.ts';
import type { Trials } from '../../lib/simulate-isolation.ts';

// It holds no more than a cache: a policy whose set has been replaced is parsed again.
const engine = createPolicyEngine();

const silent: Log = () => undefined;

/** Loads one text as a whole set. */
export function loadPolicyText(
  text: string,
  { with: other = engine, log = silent }: { readonly with?: PolicyEngine; readonly log?: Log } = {},
): Policy {
  return loadPolicy([{ name: 'test.cedar', text }], other, log);
}

/** Trials of proposed sets in this thread. */
export function testTrials(): Trials {
  return {
    check: async (files) => {
      const check = checkPolicies(files, engine);
      return check.outcome === 'faulty' ? check.findings : [];
    },
    decide: async ({ files, inputs }) => {
      const { decide } = loadPolicy(files, engine, silent);
      return inputs.map(decide).map(({ outcome, policies }) => ({
        outcome,
        policies: [...policies],
      }));
    },
  };
}

/** What a test changes in an input, section by section. */
export type InputChanges = {
  readonly caller?: Partial<DecisionInput['caller']>;
  readonly target?: Partial<DecisionInput['target']>;
  readonly action?: DecisionInput['action'];
  readonly context?: Partial<DecisionInput['context']>;
};

/** The group that the caller of `decisionInput` is in. */
export const team = '0c000000-0000-4000-8000-00000000000a';

/** An input: a person of `team` asks for SSH to a Linux VM of `env=dev`, on a Wednesday at noon (UTC). */
export function decisionInput(changes: InputChanges = {}): DecisionInput {
  return {
    caller: {
      id: '0a000000-0000-4000-8000-00000000000a.0b000000-0000-4000-8000-00000000000b',
      kind: 'person',
      app: '0d000000-0000-4000-8000-00000000000d',
      issuer: 'https://issuer.example',
      groups: [team],
      acrs: ['c1'],
      ...changes.caller,
    },
    target: {
      id: '0e000000-0000-4000-8000-00000000000e',
      name: 'web-1',
      subscription: '0f000000-0000-4000-8000-00000000000f',
      resourceGroup: 'shop',
      os: 'linux',
      tags: { env: 'dev' },
      ...changes.target,
    },
    action: changes.action ?? 'connect.ssh',
    context: { port: 22, now: 1_736_942_400, durationSeconds: 3600, ...changes.context },
  };
}
