import { checkIsolated } from '../../lib/policy-isolation.ts';
import type { Finding } from '../../lib/policy-scan.ts';
import type { DecisionInput, Policy } from '../../lib/decision.ts';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import { loadPolicy } from '../../lib/policy.ts';
import { decisionInput } from '../support/policies.ts';
import type { Effort } from './effort.ts';
import type { Part } from './figure.ts';
import type { Call, Step } from './micro.ts';
import { measureCalls, measureSteps } from './micro.ts';
import type { BenchSet } from './policy-set.ts';
import { makePolicySet } from './policy-set.ts';

/** A set, the policy that it is, and a request about it. */
type Subject = {
  readonly count: number;
  readonly set: BenchSet;
  readonly policy: Policy;
  readonly input: DecisionInput;
};

/** The sizes that are compared; the last is the most that a set may hold. */
const counts = [30, 300, 1000];

const worker = new URL('../../lib/policy-worker.ts', import.meta.url);

/** Measures what a decision and an explanation cost with small and large sets, and what such a set costs to load. */
export async function measureDeciding(effort: Effort): Promise<readonly Part[]> {
  const subjects = counts.map(prepareSubject);
  const { policyLoads: rounds } = effort;
  return [
    measureCalls('Decisions, in this process', subjects.map(toDecision), effort),
    await measureSteps('Explanations, in this process', subjects.map(toExplanation), rounds),
    await measureSteps('Policy sets taken in', subjects.flatMap(toLoadingSteps), rounds),
  ];
}

function prepareSubject(count: number): Subject {
  const set = makePolicySet(count);
  const input = decisionInput({
    caller: { groups: [set.group] },
    target: { tags: { env: set.environment } },
  });
  return { count, set, policy: load(set), input };
}

// An engine of its own: one process has one set in force.
function load({ text }: BenchSet): Policy {
  return loadPolicy([{ name: 'bench.cedar', text }], createPolicyEngine(), (event) => {
    throw new Error(event);
  });
}

function toDecision({ count, set, policy, input }: Subject): Call {
  return {
    name: `decision by ${String(count)} policies`,
    base: 'decision by 30 policies',
    run: () => checkDecision(policy, input, set.id),
  };
}

function checkDecision(policy: Policy, input: DecisionInput, id: string): void {
  const { outcome, policies } = policy.decide(input);
  if (outcome !== 'allow' || policies.join() !== id)
    throw new Error(`${id} did not decide: ${outcome} by ${policies.join()}`);
}

// A stranger to all groups: the search for what would let them in goes to its end.
function toExplanation({ count, policy, input }: Subject): Step {
  const denied = { ...input, caller: { ...input.caller, groups: [] } };
  return {
    name: `explanation of a deny by ${String(count)} policies`,
    base: 'explanation of a deny by 30 policies',
    run: async () => {
      const explained = policy.explain?.(denied, { services: [], isReader: true });
      if (explained?.decision.outcome !== 'deny') throw new Error('a stranger was let in');
    },
  };
}

function toLoadingSteps({ count, set, input }: Subject): readonly Step[] {
  const files = [{ name: 'bench.cedar', text: set.text }];
  return [
    {
      name: `check of ${String(count)} policies, in a thread`,
      base: 'check of 30 policies, in a thread',
      run: async () => {
        const signal = AbortSignal.timeout(60_000);
        requireSound(await checkIsolated(files, { worker, signal }));
      },
    },
    {
      name: `load of ${String(count)} policies, with the first decision`,
      base: 'load of 30 policies, with the first decision',
      run: async () => Promise.resolve(checkDecision(load(set), input, set.id)),
    },
  ];
}

function requireSound(findings: readonly Finding[]): void {
  const [first] = findings;
  if (first !== undefined) throw new Error(`a set is not sound: ${first.detail}`);
}
