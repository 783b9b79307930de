import { setImmediate } from 'node:timers/promises';
import type { Audit, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import type { DecisionInput, Policy } from './decision.ts';
import type { Outcome } from './explain-view.ts';
import { BrokerError } from './failure.ts';
import { toDigest } from './policy-digest.ts';
import { requireRole } from './role.ts';
import { type PastDecisions, readPastDecisions } from './simulate-audit.ts';
import type { Trials, Verdict } from './simulate-isolation.ts';
import type { Counts, Flip, SimulateAnswer, SimulateRequest } from './simulate-view.ts';

// About ten milliseconds of work: other requests of this process should not wait for long.
const decisionsPerTurn = 20;

const maxFlips = 1000;

/** One question to both sets. */
type Case = Pick<Flip, 'case' | 'time'> & { readonly input: DecisionInput };

type Sound = Extract<SimulateAnswer, { readonly outcome: 'sound' }>;

/**
 * Tries a proposed set on cases and on past decisions, beside the set in force, and tells what it would decide
 * otherwise, once that is recorded. Nothing of the proposed set is evaluated in this thread, and nothing is kept of it.
 * Costs the caller a request of the budget; fails with `rate-limited` as well while others keep this process busy.
 */
export async function simulatePolicies(
  broker: Broker,
  caller: Caller,
  request: SimulateRequest,
  trials: Trials,
): Promise<SimulateAnswer> {
  requireRole(caller, 'Policy.Read');
  return broker.admitSimulation(async () => {
    await withinCallerBudget(broker, caller, async () => undefined);
    const answer = await simulate(broker, request, trials);
    if (answer.outcome === 'sound' && answer.counts.decided > 0)
      await broker.audit.append([toEvent(caller, request, answer)]);
    return answer;
  });
}

async function simulate(
  { policy, audit: log }: Broker,
  { policies: files, cases, audit }: SimulateRequest,
  trials: Trials,
): Promise<SimulateAnswer> {
  const findings = await trials.check(files);
  if (findings.length > 0) return { outcome: 'faulty', findings: [...findings] };
  const past = audit && (await readPast(log, audit));
  const all = [...cases.map(toCase), ...(past?.decisions ?? []).map(toPastCase)];
  const inputs = all.map(({ input }) => input);
  const [current, proposed] = await Promise.all([
    decideInTurns(policy, inputs),
    inputs.length === 0 ? [] : trials.decide({ files, inputs }),
  ]);
  if (proposed === undefined) return { outcome: 'faulty', findings: [toUndecided(files[0]?.name)] };
  return {
    outcome: 'sound',
    digest: policy.digest,
    ...compare(all, current, proposed),
    ...toProgress(past),
  };
}

function toEvent(
  { id, name }: Caller,
  { policies, audit }: SimulateRequest,
  { digest, counts: { decided, ...flips } }: Sound,
): AuditEvent {
  return {
    type: 'policy.simulated',
    caller: { id, name },
    digest,
    proposed: toDigest(policies),
    decided,
    flipped: Object.values(flips).reduce((sum, count) => sum + count, 0),
    ...(audit === undefined
      ? {}
      : { past: { from: audit.from.toISOString(), to: audit.to.toISOString() } }),
  };
}

async function readPast(
  { list }: Audit,
  range: NonNullable<SimulateRequest['audit']>,
): Promise<PastDecisions> {
  if (list === undefined)
    throw new BrokerError('audit-unavailable', 'The past cannot be read here: give cases instead.');
  return readPastDecisions(list, range);
}

function toCase({ name, input }: SimulateRequest['cases'][number], index: number): Case {
  return { case: name ?? `case ${index + 1}`, input };
}

function toPastCase({ session, time, input }: PastDecisions['decisions'][number]): Case {
  return { case: session, time, input };
}

async function decideInTurns(
  policy: Policy,
  inputs: readonly DecisionInput[],
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const [index, input] of inputs.entries()) {
    if (index % decisionsPerTurn === 0) await setImmediate();
    verdicts.push(toVerdict(policy.decide(input)));
  }
  return verdicts;
}

function toVerdict({ outcome, policies }: ReturnType<Policy['decide']>): Verdict {
  return { outcome, policies: [...policies] };
}

function toUndecided(file = ''): { file: string; line: number; detail: string } {
  const detail = 'The set did not come to an end with these cases: make its policies simpler.';
  return { file, line: 1, detail };
}

function compare(
  cases: readonly Case[],
  current: readonly Verdict[],
  proposed: readonly Verdict[],
): { readonly counts: Counts; readonly flips: Flip[] } {
  const flips = cases.flatMap((one, index) => {
    const [from, to] = [current[index], proposed[index]];
    if (from === undefined || to === undefined || from.outcome === to.outcome) return [];
    return [toFlip(one, from, to)];
  });
  const counts = { decided: cases.length, ...countFlips(flips) };
  return { counts, flips: flips.slice(0, maxFlips) };
}

function countFlips(flips: readonly Flip[]): Omit<Counts, 'decided'> {
  const count = (from: Outcome, to: Outcome): number =>
    flips.filter((flip) => flip.from.outcome === from && flip.to.outcome === to).length;
  return {
    allowToNeeds: count('allow', 'needs'),
    allowToDeny: count('allow', 'deny'),
    needsToAllow: count('needs', 'allow'),
    needsToDeny: count('needs', 'deny'),
    denyToAllow: count('deny', 'allow'),
    denyToNeeds: count('deny', 'needs'),
  };
}

function toFlip({ input, ...named }: Case, from: Verdict, to: Verdict): Flip {
  const { caller, target, action, context } = input;
  return { ...named, caller: caller.id, target: target.name, action, port: context.port, from, to };
}

function toProgress(past: PastDecisions | undefined): Pick<Sound, 'audit'> {
  if (past === undefined) return {};
  const { entries, progress, nextFrom } = past;
  return { audit: { entries, progress, ...(nextFrom === undefined ? {} : { nextFrom }) } };
}
