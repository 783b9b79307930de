import { readFile } from 'node:fs/promises';
import {
  type Counts,
  type Flip,
  type SimulateAnswer,
  simulateAnswerShape,
} from '../../lib/simulate-view.ts';
import { askPatiently } from '../ask-patiently.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { formatTable } from '../format.ts';
import { parseJson } from '../json.ts';
import { openPolicyClient } from './policy-client.ts';
import { printFaulty, readPolicies } from './policy-files.ts';
import type { ShowProgress } from './policy-progress.ts';

export type SimulateOptions = {
  readonly from?: string;
  readonly to?: string;
  readonly cases?: string;
};

type Sound = Extract<SimulateAnswer, { outcome: 'sound' }>;
type Faulty = Extract<SimulateAnswer, { outcome: 'faulty' }>;

/** What all pages say together. */
type Result = Faulty | Pick<Sound, 'outcome' | 'counts' | 'flips'>;

const directions: readonly { readonly count: keyof Counts; readonly words: string }[] = [
  { count: 'allowToNeeds', words: 'from allow to needs' },
  { count: 'allowToDeny', words: 'from allow to deny' },
  { count: 'needsToAllow', words: 'from needs to allow' },
  { count: 'needsToDeny', words: 'from needs to deny' },
  { count: 'denyToAllow', words: 'from deny to allow' },
  { count: 'denyToNeeds', words: 'from deny to needs' },
];

type Page = { readonly nextFrom?: string };

const entriesPerPage = 2000;
const dayMilliseconds = 86_400_000;

/**
 * Tries the policies of a folder on cases, or on the decisions of a time, of the last seven days when none is given.
 * Returns the exit code: `conflict` when any would be decided otherwise, `usage` when there are findings.
 */
export async function simulatePolicies(
  context: Context,
  folder: string,
  options: SimulateOptions,
  show: ShowProgress,
): Promise<ExitCode> {
  const { settings, terminal } = context;
  const question = await toQuestion(options, context.now());
  const result = await askAll(context, { policies: await readPolicies(folder), ...question }, show);
  if (result.outcome === 'faulty') return printFaulty(context, result.findings);
  if (settings.json) terminal.printJson(result);
  else describeFlips(result.counts, result.flips).forEach(terminal.print);
  return result.flips.length === 0 ? exitCodes.ok : exitCodes.conflict;
}

type Question = { readonly cases: unknown } | { readonly audit: object };

async function toQuestion({ from, to, cases }: SimulateOptions, now: Date): Promise<Question> {
  if (cases !== undefined && (from !== undefined || to !== undefined))
    throw new CommandError(exitCodes.usage, 'Give --cases, or --from and --to, but not both.');
  if (cases !== undefined) return { cases: parseJson(await readText(cases)) };
  const end = to === undefined ? now : parseTime(to);
  const start =
    from === undefined ? new Date(end.getTime() - 7 * dayMilliseconds) : parseTime(from);
  const range = { from: start.toISOString(), to: end.toISOString(), limit: entriesPerPage };
  return { audit: range };
}

async function askAll(
  context: Context,
  question: { readonly policies: unknown } & Question,
  show: ShowProgress,
): Promise<Result> {
  const ask = await openPolicyClient(context);
  const answers: Sound[] = [];
  let page: Page | undefined = {};
  try {
    show(0);
    while (page !== undefined) {
      const body = toBody(question, page);
      // A long past takes more pages than the budget of a caller has at once.
      const answer: SimulateAnswer = await askPatiently(context, async () =>
        ask('simulate', body, simulateAnswerShape),
      );
      if (answer.outcome === 'faulty') return answer;
      answers.push(answer);
      show(answer.audit?.progress ?? 1);
      page = toNextPage(answer);
    }
  } finally {
    show(undefined);
  }
  const flips = answers.flatMap((answer) => answer.flips);
  return { outcome: 'sound', counts: answers.map(({ counts }) => counts).reduce(addCounts), flips };
}

function toBody(question: { readonly policies: unknown } & Question, page: Page): object {
  return 'audit' in question ? { ...question, audit: { ...question.audit, ...page } } : question;
}

function toNextPage({ audit }: Sound): Page | undefined {
  return audit?.nextFrom === undefined ? undefined : { nextFrom: audit.nextFrom };
}

function addCounts(sum: Counts, page: Counts): Counts {
  return {
    decided: sum.decided + page.decided,
    allowToNeeds: sum.allowToNeeds + page.allowToNeeds,
    allowToDeny: sum.allowToDeny + page.allowToDeny,
    needsToAllow: sum.needsToAllow + page.needsToAllow,
    needsToDeny: sum.needsToDeny + page.needsToDeny,
    denyToAllow: sum.denyToAllow + page.denyToAllow,
    denyToNeeds: sum.denyToNeeds + page.denyToNeeds,
  };
}

/** Returns the lines that say to people what flips. */
function describeFlips(counts: Counts, flips: readonly Flip[]): readonly string[] {
  const heading = ['CASE', 'TIME', 'CALLER', 'TARGET', 'ACTION', 'FROM', 'TO'];
  const rows = flips.map(({ time = '', caller, target, action, port, ...flip }) => [
    flip.case,
    time,
    caller,
    target,
    `${action}:${port}`,
    toVerdict(flip.from),
    toVerdict(flip.to),
  ]);
  return [...(rows.length === 0 ? [] : formatTable(heading, rows)), describeCounts(counts)];
}

function describeCounts(counts: Counts): string {
  const flips = directions
    .filter(({ count }) => counts[count] > 0)
    .map(({ count, words }) => `${counts[count]} ${words}`);
  return [`${counts.decided} decided`, ...(flips.length === 0 ? ['none otherwise'] : flips)].join(
    ', ',
  );
}

function toVerdict({ outcome, policies }: Flip['from']): string {
  return policies.length === 0 ? outcome : `${outcome} (${policies.join(' ')})`;
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CommandError(exitCodes.usage, `The file '${file}' cannot be read.`, { cause });
  });
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  throw new CommandError(
    exitCodes.usage,
    `Write a time such as 2026-03-01 or 2026-03-01T08:00:00Z, not '${text}'.`,
  );
}
