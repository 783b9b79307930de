import { readFile } from 'node:fs/promises';
import {
  type Counts,
  type Flip,
  type SimulateAnswer,
  simulateAnswerShape,
} from '../../lib/simulate-view.ts';
import { readPolicyFolder } from '../../lib/file/policy-folder.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { formatTable } from '../format.ts';
import { parseJson } from '../json.ts';
import { openPolicyClient } from './policy-client.ts';
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

type Page = { readonly nextFrom?: string };

const entriesPerPage = 2000;
const dayMilliseconds = 86_400_000;

/** Checks the policies of a folder at the broker. Returns the exit code: `usage` when there are findings. */
export async function checkPolicies(context: Context, folder: string): Promise<ExitCode> {
  const policies = await readPolicies(folder);
  const ask = await openPolicyClient(context);
  const answer = await ask('simulate', { policies }, simulateAnswerShape);
  if (answer.outcome === 'faulty') return printFindings(context, answer);
  if (context.settings.json) context.terminal.printJson({ outcome: 'sound', findings: [] });
  else context.terminal.print(`${policies.length} files, nothing to repair.`);
  return exitCodes.ok;
}

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
  if (result.outcome === 'faulty') return printFindings(context, result);
  if (settings.json) terminal.printJson(result);
  else describeFlips(result.counts, result.flips).forEach(terminal.print);
  return result.counts.allowToDeny + result.counts.denyToAllow === 0
    ? exitCodes.ok
    : exitCodes.conflict;
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
      const answer: SimulateAnswer = await ask('simulate', body, simulateAnswerShape);
      if (answer.outcome === 'faulty') return answer;
      answers.push(answer);
      show(answer.audit?.progress ?? 1);
      page = toNextPage(answer);
    }
  } finally {
    show(undefined);
  }
  const flips = answers.flatMap((answer) => answer.flips);
  return { outcome: 'sound', counts: addCounts(answers), flips };
}

function toBody(question: { readonly policies: unknown } & Question, page: Page): object {
  return 'audit' in question ? { ...question, audit: { ...question.audit, ...page } } : question;
}

function toNextPage({ audit }: Sound): Page | undefined {
  return audit?.nextFrom === undefined ? undefined : { nextFrom: audit.nextFrom };
}

function addCounts(answers: readonly Sound[]): Counts {
  const add = (member: keyof Counts): number =>
    answers.reduce((sum, { counts }) => sum + counts[member], 0);
  return {
    decided: add('decided'),
    allowToDeny: add('allowToDeny'),
    denyToAllow: add('denyToAllow'),
  };
}

/** Returns the lines that say to people what flips. */
function describeFlips(counts: Counts, flips: readonly Flip[]): readonly string[] {
  const { decided, allowToDeny, denyToAllow } = counts;
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
  return [
    ...(rows.length === 0 ? [] : formatTable(heading, rows)),
    `${decided} decided, ${allowToDeny} from allow to deny, ${denyToAllow} from deny to allow`,
  ];
}

function toVerdict({ outcome, policies }: Flip['from']): string {
  return policies.length === 0 ? outcome : `${outcome} (${policies.join(' ')})`;
}

function printFindings({ settings, terminal }: Context, answer: Faulty): ExitCode {
  if (settings.json) terminal.printJson(answer);
  else
    for (const { file, line, detail } of answer.findings)
      terminal.note(`${file}:${line}: ${detail}`);
  return exitCodes.usage;
}

async function readPolicies(folder: string): ReturnType<typeof readPolicyFolder> {
  const files = await readPolicyFolder(folder).catch((cause: unknown) => {
    throw new CommandError(exitCodes.usage, `The folder '${folder}' cannot be read.`, { cause });
  });
  if (files.length > 0) return files;
  throw new CommandError(exitCodes.usage, `The folder '${folder}' holds no .cedar file.`);
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
