import { Agent } from 'node:http';
import type { Policy } from '../../lib/decision.ts';
import { readPastDecisions } from '../../lib/simulate-audit.ts';
import {
  checkDiscovery,
  getDiscovery,
  parseSimulated,
  postSimulate,
  type Simulated,
} from './api.ts';
import type { BenchStack } from './bench-stack.ts';
import type { Effort } from './effort.ts';
import type { Figure, Part } from './figure.ts';
import { toFigure } from './figure.ts';
import { makePast, makeProposals, type Past, type Proposal } from './past.ts';

// As many as `sallyport policy simulate` asks for.
const entriesPerPage = 2000;

const pauseMilliseconds = 20;

/** What is measured, and how many past decisions of each went by in a second. */
type Rates = Map<string, number[]>;

const readAlone = 'the entries read, nothing decided';
const decidedAlone = 'decided by both sets, in this process';

/**
 * Measures a simulation over the API, page by page as the command asks for it, in turns with its floors: to read the
 * entries, and to decide them by two sets. Meanwhile somebody else asks the same broker for something small.
 */
export async function measureSimulating(
  bench: BenchStack,
  { pastDecisions, simulations }: Effort,
): Promise<readonly Part[]> {
  const past = await makePast(bench, pastDecisions);
  const { small, large } = await makeProposals(past);
  const rates: Rates = new Map();
  const waits = { alone: new Array<number>(), meanwhile: new Array<number>() };
  for (let round = 0; round < simulations; round += 1) {
    for (const proposal of [small, large])
      note(rates, toName(proposal), await timeSimulation(bench, past, proposal, waits));
    note(rates, readAlone, await timeReading(bench, past));
    note(rates, decidedAlone, timeDeciding([past.policy, small.policy], past));
  }
  return [toRatePart(past, rates), toWaitPart(waits)];
}

function toName({ name }: Proposal): string {
  return `simulated over the API, ${name} proposed`;
}

function note(rates: Rates, name: string, perSecond: number): void {
  rates.set(name, [...(rates.get(name) ?? []), perSecond]);
}

type Waits = { readonly alone: number[]; readonly meanwhile: number[] };

async function timeSimulation(
  bench: BenchStack,
  past: Past,
  proposal: Proposal,
  waits: Waits,
): Promise<number> {
  const agent = new Agent({ keepAlive: true });
  try {
    let asked = 0;
    waits.alone.push(...(await watchBroker(bench, agent, () => (asked += 1) > 50)));
    let isOver = false;
    const watching = watchBroker(bench, agent, () => isOver);
    const startedAt = performance.now();
    const answers = await simulate(bench, agent, past, proposal).finally(() => (isOver = true));
    const seconds = (performance.now() - startedAt) / 1000;
    waits.meanwhile.push(...(await watching));
    checkSimulated(answers, past, proposal);
    return past.inputs.length / seconds;
  } finally {
    agent.destroy();
  }
}

async function simulate(
  { url, readerToken: token }: BenchStack,
  agent: Agent,
  { range }: Past,
  { files: policies }: Proposal,
): Promise<readonly Simulated[]> {
  const answers: Simulated[] = [];
  let page: { readonly nextFrom?: string } | undefined = {};
  while (page !== undefined) {
    const question = { policies, audit: { ...range, limit: entriesPerPage, ...page } };
    const answer = parseSimulated(await postSimulate(url, agent, { token, question }));
    answers.push(answer);
    const { nextFrom } = answer.audit ?? {};
    page = nextFrom === undefined ? undefined : { nextFrom };
  }
  return answers;
}

function checkSimulated(
  answers: readonly Simulated[],
  { inputs }: Past,
  { name, flips }: Proposal,
): void {
  const counts = answers.map(({ counts: { decided, ...flipped } }) => ({
    decided,
    flipped: Object.values(flipped).reduce((sum, count) => sum + count, 0),
  }));
  const decided = counts.reduce((sum, page) => sum + page.decided, 0);
  const flipped = counts.reduce((sum, page) => sum + page.flipped, 0);
  if (decided !== inputs.length || flipped !== flips)
    throw new Error(`${name}: ${String(decided)} decided, ${String(flipped)} flipped`);
}

/** Asks the broker for something small again and again, and returns how long each answer took. */
async function watchBroker(
  { url }: BenchStack,
  agent: Agent,
  isOver: () => boolean,
): Promise<readonly number[]> {
  const milliseconds: number[] = [];
  while (!isOver()) {
    const startedAt = performance.now();
    checkDiscovery(await getDiscovery(url, agent));
    milliseconds.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds));
  }
  return milliseconds;
}

async function timeReading(bench: BenchStack, { range, inputs }: Past): Promise<number> {
  const startedAt = performance.now();
  const all = { ...range, limit: Infinity };
  const { decisions } = await readPastDecisions(bench.openTable('audit').list, all);
  const seconds = (performance.now() - startedAt) / 1000;
  if (decisions.length !== inputs.length) throw new Error('an entry was not read');
  return inputs.length / seconds;
}

function timeDeciding(policies: readonly Policy[], { inputs }: Past): number {
  const startedAt = performance.now();
  for (const policy of policies) for (const input of inputs) policy.decide(input);
  return inputs.length / ((performance.now() - startedAt) / 1000);
}

function toRatePart({ recordedPerSecond, inputs }: Past, rates: Rates): Part {
  const count = inputs.length.toLocaleString('en');
  const recorded = toFigure({ name: 'recorded by the audit chain', unit: '1/s' }, [
    recordedPerSecond,
  ]);
  const figures: Figure[] = [];
  for (const [name, samples] of rates) {
    const [base] = figures;
    figures.push(toFigure({ name, unit: '1/s', ...(base === undefined ? {} : { base }) }, samples));
  }
  const title = `Past decisions simulated per second, of ${count}, and the floors below that`;
  return { title, figures: [...figures, recorded], notes: [] };
}

function toWaitPart({ alone, meanwhile }: Waits): Part {
  const base = toFigure({ name: 'alone', unit: 'ms' }, alone);
  const other = toFigure({ name: 'while a past is simulated', unit: 'ms', base }, meanwhile);
  const title = 'GET /.well-known/sallyport, by somebody else';
  return { title, figures: [base, other], notes: [] };
}
