import * as z from 'zod';
import type { DecisionInput } from './decision.ts';
import { isLike } from './like.ts';
import type { Terms } from './terms.ts';

/** What is still missing for an offer of policy to apply. */
export const needShape = z.discriminatedUnion('kind', [
  /** So many members of the group must approve. */
  z.strictObject({ kind: z.literal('approval'), group: z.string(), count: z.int().positive() }),
  /** The caller must satisfy the authentication context. */
  z.strictObject({ kind: z.literal('acr'), acr: z.string() }),
  /** The request must give a reason or a change reference of this form; `*` stands for any text. */
  z.strictObject({ kind: z.enum(['reason', 'change']), pattern: z.string() }),
]);

export type Need = z.infer<typeof needShape>;

export type ApprovalNeed = Extract<Need, { readonly kind: 'approval' }>;

/** Returns what of the terms the input does not meet. Terms that limit a session need nothing before it. */
export function findNeeds(terms: Terms, { caller, context }: DecisionInput): readonly Need[] {
  const { acr, approval, reasonPattern, changePattern } = terms;
  const isFormed = (text: string | undefined, pattern: string): boolean =>
    text !== undefined && isLike(text, pattern);
  return [
    ...(approval === undefined || isApproved(approval, context.approvals ?? [])
      ? []
      : [{ kind: 'approval', ...approval } as const]),
    ...(acr === undefined || caller.acrs.includes(acr) ? [] : [{ kind: 'acr', acr } as const]),
    ...(reasonPattern === undefined || isFormed(context.reason, reasonPattern)
      ? []
      : [{ kind: 'reason', pattern: reasonPattern } as const]),
    ...(changePattern === undefined || isFormed(context.change, changePattern)
      ? []
      : [{ kind: 'change', pattern: changePattern } as const]),
  ];
}

/** Tells the caller how to meet a need, in a sentence. */
export function describeNeed(need: Need): string {
  if (need.kind === 'acr') return `Sign in with the authentication context ${need.acr}.`;
  if ('pattern' in need)
    return `Give a ${need.kind === 'reason' ? 'reason' : 'change reference'} of the form "${need.pattern}".`;
  const { group, count } = need;
  return count === 1
    ? `A member of the group ${group} must approve.`
    : `${String(count)} members of the group ${group} must approve.`;
}

function isApproved(
  { group, count }: Omit<ApprovalNeed, 'kind'>,
  approvals: NonNullable<DecisionInput['context']['approvals']>,
): boolean {
  const members = approvals.filter((approval) => approval.group === group);
  return count <= new Set(members.map(({ by }) => by)).size;
}
