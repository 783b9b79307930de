import { type ExplainAnswer, explainAnswerShape } from '../../lib/explain.ts';
import { describeNeed } from '../../lib/need.ts';
import { type Context, openClient } from '../context.ts';
import { prepareWish, type WishOptions } from '../wish.ts';
import { openPolicyClient } from './policy-client.ts';

/** Prints what policy decides about a session, and what would change it, without asking for one. */
export async function explainWish(
  context: Context,
  target: string,
  options: WishOptions,
): Promise<void> {
  const { settings, terminal } = context;
  const { client } = await openClient(context);
  const wish = await prepareWish(client, target, options);
  const ask = await openPolicyClient(context);
  const answer = await ask('explain', wish, explainAnswerShape);
  if (settings.json) return terminal.printJson(answer);
  describeExplanation(answer).forEach(terminal.print);
}

const sentences: Readonly<Record<ExplainAnswer['outcome'], string>> = {
  allow: 'Policy allows this.',
  needs: 'Policy allows this once its needs are met.',
  deny: 'Policy denies this, or there is no such target.',
};

/** Returns the lines that say it to people. */
function describeExplanation(answer: ExplainAnswer): readonly string[] {
  const { outcome, facts, policies, hangsOn = [], advice, nearest, endsAt } = answer;
  const { terms = {}, needs = [] } = answer;
  const { caller, action, context } = facts;
  const limits = Object.entries(terms).map(([term, value]) => `${term} ${toText(value)}`);
  const changes = nearest.map(({ detail }) => detail);
  return [
    sentences[outcome],
    ...toLines('asked', [`${action} on port ${context.port} for ${context.durationSeconds} s`]),
    ...toLines('caller', [caller.id]),
    ...toLines('groups', caller.groups),
    ...toLines('needs', needs.map(describeNeed)),
    ...toLines('terms', limits),
    ...toLines('ends', endsAt === undefined ? [] : [endsAt]),
    ...toLines(
      'by',
      policies.map(({ id, effect }) => `${effect} ${id}`),
    ),
    ...toLines('hangs on', hangsOn),
    ...toLines('advice', advice),
    ...toLines('instead', changes),
  ];
}

function toLines(name: string, values: readonly string[]): readonly string[] {
  return values.map((value, index) => `  ${(index === 0 ? name : '').padEnd(8)}  ${value}`);
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
