import { type ExplainAnswer, explainAnswerShape } from '../../lib/explain.ts';
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

/** Returns the lines that say it to people. */
function describeExplanation(answer: ExplainAnswer): readonly string[] {
  const { outcome, facts, policies, hangsOn = [], advice, nearest, endsAt, terms = {} } = answer;
  const { caller, action, context } = facts;
  const limits = Object.entries(terms).map(([term, value]) => `${term} ${value}`);
  const changes = nearest.map(({ detail }) => detail);
  return [
    outcome === 'allow' ? 'Policy allows this.' : 'Policy denies this, or there is no such target.',
    ...toLines('asked', [`${action} on port ${context.port} for ${context.durationSeconds} s`]),
    ...toLines('caller', [caller.id]),
    ...toLines('groups', caller.groups),
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
