import { fileURLToPath } from 'node:url';
import type { DecisionInput, Policy } from '../../lib/decision.ts';
import { readPolicyFolder } from '../../lib/file/policy-folder.ts';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import type { PolicyFile } from '../../lib/policy-scan.ts';
import { loadPolicy } from '../../lib/policy.ts';
import { operatorsGroup } from '../../local/demo-callers.ts';
import { recordPast, toPastEvents } from '../support/past-decisions.ts';
import { decisionInput } from '../support/policies.ts';
import type { BenchStack } from './bench-stack.ts';
import { makePolicySet } from './policy-set.ts';

/** Decisions that lie in the audit log of a stack. */
export type Past = {
  readonly inputs: readonly DecisionInput[];
  /** The set that decided them, which is the one in force. */
  readonly policy: Policy;
  readonly range: { readonly from: Date; readonly to: Date };
  readonly recordedPerSecond: number;
};

/** A set to try on the past. */
export type Proposal = {
  readonly name: string;
  readonly files: readonly PolicyFile[];
  readonly policy: Policy;
  /** How many of the past decisions it turns, found in this process. */
  readonly flips: number;
};

const shippedFolder = fileURLToPath(new URL('../../policies', import.meta.url));

/** Has so many decisions of the shipped set recorded by the audit chain of a broker of two days ago. */
export async function makePast(bench: BenchStack, count: number): Promise<Past> {
  const policy = load(await readPolicyFolder(shippedFolder));
  const inputs = Array.from({ length: count }, (_, number) => makeInput(number));
  const events = toPastEvents(policy, inputs);
  const time = Date.now() - 2 * 86_400_000;
  const tables = { audit: bench.openTable('audit'), state: bench.openTable('state') };
  const { rootKeyFile, url: issuer } = bench;
  const startedAt = performance.now();
  await recordPast({ ...tables, rootKeyFile, issuer }, events, new Date(time));
  const recordedPerSecond = count / ((performance.now() - startedAt) / 1000);
  const range = { from: new Date(time - 1000), to: new Date(time + 1000) };
  return { inputs, policy, range, recordedPerSecond };
}

/** Returns two sets to try: the shipped one with a new guard, and that among 300 policies. */
export async function makeProposals({
  inputs,
  policy,
}: Past): Promise<{ readonly small: Proposal; readonly large: Proposal }> {
  const guard = toFile(
    'guard',
    '@id("bench-proposed") forbid (principal, action, resource) when { resource.name like "*7" };',
  );
  const small = [...(await readPolicyFolder(shippedFolder)), guard];
  const large = [...small, toFile('grown', makePolicySet(300).text)];
  const toProposal = (name: string, files: readonly PolicyFile[]): Proposal => {
    const proposed = load(files);
    const isFlipped = (input: DecisionInput): boolean =>
      proposed.decide(input).outcome !== policy.decide(input).outcome;
    return { name, files, policy: proposed, flips: inputs.filter(isFlipped).length };
  };
  return { small: toProposal('a small set', small), large: toProposal('300 policies', large) };
}

function toFile(name: string, text: string): PolicyFile {
  return { name: `bench-${name}.cedar`, text };
}

function load(files: readonly PolicyFile[]): Policy {
  return loadPolicy(files, createPolicyEngine(), (event) => {
    throw new Error(event);
  });
}

const environments = ['dev', 'prod', 'demo', 'none'];

// Operators for the most part, and strangers; with and without a reason; allowed and denied.
function makeInput(number: number): DecisionInput {
  return decisionInput({
    caller: { groups: number % 5 === 0 ? [] : [operatorsGroup] },
    target: {
      name: `vm-${String(number % 100)}`,
      tags: { env: environments[number % environments.length] ?? '' },
    },
    context: number % 3 === 0 ? {} : { reason: 'disk full' },
  });
}
