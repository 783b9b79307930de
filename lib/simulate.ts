import { setImmediate } from 'node:timers/promises';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { DecisionInput, Policy } from './decision.ts';
import { BrokerError } from './failure.ts';
import { checkIsolated } from './policy-isolation.ts';
import { requireRole } from './role.ts';
import { type PastDecisions, readPastDecisions } from './simulate-audit.ts';
import { decideIsolated, type Verdict } from './simulate-isolation.ts';
import type { Counts, Flip, SimulateAnswer, SimulateRequest } from './simulate-view.ts';

/** The scripts of `policy-worker.ts` and `simulate-worker.ts`: their sources, or their bundles. */
export type SimulateWorkers = { readonly check: URL; readonly decide: URL };

const checkMilliseconds = 30_000;
const decideMilliseconds = 60_000;

// About ten milliseconds of work: other requests of this process should not wait for long.
const decisionsPerTurn = 20;

const maxFlips = 1000;

/** One question to both sets. */
type Case = Pick<Flip, 'case' | 'time'> & { readonly input: DecisionInput };

/**
 * Tries a proposed set on cases and on past decisions, beside the set in force, and tells what it would decide
 * otherwise. Nothing of the proposed set is evaluated in this thread, and nothing is kept of it.
 */
export async function simulatePolicies(
  broker: Broker,
  caller: Caller,
  { policies: files, cases, audit }: SimulateRequest,
  workers: SimulateWorkers,
): Promise<SimulateAnswer> {
  requireRole(caller, 'Policy.Read');
  const signal = AbortSignal.timeout(checkMilliseconds);
  const findings = await checkIsolated(files, { worker: workers.check, signal });
  if (findings.length > 0) return { outcome: 'faulty', findings: [...findings] };
  const past = audit && (await readPast(broker, audit));
  const all = [...cases.map(toCase), ...(past?.decisions ?? []).map(toPastCase)];
  const inputs = all.map(({ input }) => input);
  const current = await decideInTurns(broker.policy, inputs);
  const proposed = await decideProposed({ files, inputs }, workers.decide);
  if (proposed === undefined) return { outcome: 'faulty', findings: [toUndecided(files[0]?.name)] };
  return {
    outcome: 'sound',
    digest: broker.policy.digest,
    ...compare(all, current, proposed),
    ...toProgress(past),
  };
}

async function readPast(
  { audit: { list } }: Broker,
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

async function decideProposed(
  trial: Parameters<typeof decideIsolated>[0],
  worker: URL,
): Promise<readonly Verdict[] | undefined> {
  if (trial.inputs.length === 0) return [];
  return decideIsolated(trial, { worker, signal: AbortSignal.timeout(decideMilliseconds) });
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
  const denyToAllow = flips.filter(({ to }) => to.outcome === 'allow').length;
  const counts = { decided: cases.length, allowToDeny: flips.length - denyToAllow, denyToAllow };
  return { counts, flips: flips.slice(0, maxFlips) };
}

function toFlip({ input, ...named }: Case, from: Verdict, to: Verdict): Flip {
  const { caller, target, action, context } = input;
  return { ...named, caller: caller.id, target: target.name, action, port: context.port, from, to };
}

function toProgress(
  past: PastDecisions | undefined,
): Pick<Extract<SimulateAnswer, { outcome: 'sound' }>, 'audit'> {
  if (past === undefined) return {};
  const { entries, progress, nextFrom } = past;
  return { audit: { entries, progress, ...(nextFrom === undefined ? {} : { nextFrom }) } };
}
