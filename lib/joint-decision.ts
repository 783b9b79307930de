import { isDeepStrictEqual } from 'node:util';
import type { Decision, DecisionInput } from './decision.ts';
import { toJointTerms } from './joint-terms.ts';
import type { Need } from './need.ts';
import type { Terms } from './terms.ts';

/** What stands before the id of a policy that is behind the decision about the person. No id holds a colon. */
export const personPrefix = 'onBehalfOf:';

type Deny = Extract<Decision, { readonly outcome: 'deny' }>;

/**
 * Decides about the caller and, where they act for a person, about that person as if they asked themselves. Both must be
 * allowed; the terms are the tighter of both and of the delegation, and the needs are those of both. Throws when it is
 * in doubt who acts for whom.
 */
export function decideJointly(
  decide: (input: DecisionInput) => Decision,
  input: DecisionInput,
): Decision {
  const [own, person] = toSides(input);
  const decision = decide(own);
  if (person === undefined) return decision;
  if (hasDelegationEnded(input))
    return toDeny(decision, ['The delegation has ended. Ask for another one.']);
  return joinDecisions(decision, decide(person), input.delegation?.terms ?? {});
}

function hasDelegationEnded({ delegation, context }: DecisionInput): boolean {
  return delegation !== undefined && delegation.expiresAt <= context.now;
}

/** Returns what is to be decided: about the caller, and about the person for whom they act. Throws when that is in doubt. */
export function toSides(input: DecisionInput): readonly [DecisionInput, DecisionInput?] {
  const { onBehalfOf, delegation, ...asked } = input;
  if (onBehalfOf === undefined) {
    if (delegation !== undefined) throw new Error('a delegation names nobody who gave it');
    return [input];
  }
  if (input.caller.kind !== 'workload') throw new Error('a person acts for nobody else');
  const { signInAgeSeconds: age, ...caller } = onBehalfOf;
  const { signInAgeSeconds: _, ...context } = input.context;
  const signedIn = age === undefined ? {} : { signInAgeSeconds: age };
  return [input, { ...asked, caller, context: { ...context, ...signedIn } }];
}

/** Returns a decision that is never more than either, and whose terms hold `limits` as well. */
function joinDecisions(own: Decision, person: Decision, limits: Terms): Decision {
  if (own.outcome === 'deny' || person.outcome === 'deny') return joinDenials(own, person);
  const both = toJointTerms(own.terms, person.terms);
  const terms = both && toJointTerms(both, limits);
  if (terms === undefined)
    return toDeny(own, ['No network is permitted to both the caller and whom they act for.']);
  const policies = [...own.policies, ...nameOfPerson(person)];
  const { digest } = own;
  const needs = joinNeeds(listNeeds(own), listNeeds(person));
  if (needs.length === 0) return { outcome: 'allow', policies, digest, terms };
  return { outcome: 'needs', policies, digest, terms, needs };
}

function joinDenials(own: Decision, person: Decision): Deny {
  const denials = [own, person].filter((decision) => decision.outcome === 'deny');
  const advice = denials.flatMap((deny) => deny.advice);
  // A side without advice may be one that nothing permits, and must not learn of the target from the other's.
  const isTold = denials.every((deny) => 0 < deny.advice.length);
  const policies = [
    ...(own.outcome === 'deny' ? own.policies : []),
    ...(person.outcome === 'deny' ? nameOfPerson(person) : []),
  ];
  return { ...toDeny(own, isTold ? advice : []), policies };
}

function toDeny({ digest }: Decision, advice: readonly string[]): Deny {
  return { outcome: 'deny', policies: [], digest, advice };
}

function nameOfPerson({ policies }: Decision): readonly string[] {
  return policies.map((id) => `${personPrefix}${id}`);
}

function listNeeds(decision: Decision): readonly Need[] {
  return decision.outcome === 'needs' ? decision.needs : [];
}

/** Returns the needs of both; of two approvals by one group the one by more of its members. */
function joinNeeds(first: readonly Need[], second: readonly Need[]): readonly Need[] {
  const others = second.filter((need) => !first.some((one) => isDeepStrictEqual(one, need)));
  const all = [...first, ...others];
  return all.filter((need) => !all.some((other) => isMoreOfSame(other, need)));
}

function isMoreOfSame(more: Need, need: Need): boolean {
  if (more.kind !== 'approval' || need.kind !== 'approval') return false;
  return more.group === need.group && need.count < more.count;
}
