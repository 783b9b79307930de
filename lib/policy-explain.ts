import type { Decision, DecisionInput, ExplainScope, Explanation } from './decision.ts';
import type { Change } from './explain-view.ts';
import { type Ask, findTurn } from './policy-explain-time.ts';
import type { PolicyWords } from './policy-explain-words.ts';

/** A change to an input, and how it is told. */
type Candidate = { readonly input: DecisionInput; readonly change: Change };

/** Changes of one kind, the smallest first, and how many of them are worth telling. */
type Search = { readonly candidates: readonly Candidate[]; readonly most: number };

// A decision takes longer the more policies there are, and a search holds up its process: it makes fewer of them then,
// so that it is over in about a tenth of a second whatever the set.
const maxTries = 299;
const minTries = 60;
const policiesTried = 30_000;

const maxNearest = 6;

const usualSeconds = [28_800, 14_400, 7200, 3600, 1800, 900, 300, 60];
const usualText = 'Given on request.';

/**
 * Looks for single changes that turn a deny into an allow, or for when an allow ends. Every change that it returns has
 * been decided on; where the search ends early there may be more.
 */
export function explainDecision(
  isAllowed: (input: DecisionInput) => boolean,
  decision: Decision,
  {
    input,
    scope,
    words,
  }: {
    readonly input: DecisionInput;
    readonly scope: ExplainScope;
    readonly words: PolicyWords;
  },
): Explanation {
  const ask = limitDecisions(isAllowed, words);
  if (decision.outcome === 'deny')
    return { decision, nearest: findNearest(ask, input, scope, words) };
  const ends = [findTurn(ask, input, words), input.delegation?.expiresAt];
  const endsAt = ends.filter((end) => end !== undefined).toSorted((a, b) => a - b)[0];
  return { decision, nearest: [], ...(endsAt === undefined ? {} : { endsAt }) };
}

function limitDecisions(isAllowed: (input: DecisionInput) => boolean, { count }: PolicyWords): Ask {
  let left = Math.min(maxTries, Math.max(minTries, Math.floor(policiesTried / count)));
  return (input) => {
    if (left === 0) return undefined;
    left -= 1;
    return isAllowed(input);
  };
}

function findNearest(
  ask: Ask,
  input: DecisionInput,
  scope: ExplainScope,
  words: PolicyWords,
): readonly Change[] {
  const find = (search: Search): readonly Change[] => findChanges(ask, search);
  const own = [
    { candidates: changeText(input, 'reason', words), most: 1 },
    { candidates: changeText(input, 'change', words), most: 1 },
    { candidates: shorten(input, words), most: 1 },
    { candidates: changeService(input, scope), most: 3 },
    { candidates: addAcr(input, words), most: 2 },
    { candidates: signInAgain(input, words), most: 1 },
  ].flatMap(find);
  const at = findTurn(ask, input, words);
  const time = at === undefined ? [] : [toTimeChange(at)];
  const others = scope.isReader
    ? [
        { candidates: changeTag(input, words), most: 3 },
        { candidates: addGroup(input, words), most: 3 },
      ].flatMap(find)
    : [];
  return [...own, ...time, ...others].slice(0, maxNearest);
}

function findChanges(ask: Ask, { candidates, most }: Search): readonly Change[] {
  const found: Change[] = [];
  for (const { input, change } of candidates) {
    if (found.length === most) break;
    if (ask(input) === true) found.push(change);
  }
  return found;
}

const textDetails = {
  reason: 'Give a reason, in the form that is asked for.',
  change: 'Give a change reference, in the form that is asked for.',
} as const;

// The text that is tried is not told: it may be the form that a policy asks for, and what is true is the caller's to say.
function changeText(
  input: DecisionInput,
  kind: 'reason' | 'change',
  { attributes, texts }: PolicyWords,
): readonly Candidate[] {
  if (!attributes.has(kind)) return [];
  const detail = textDetails[kind];
  return [usualText, ...(texts.get(kind) ?? [])].map((text) => ({
    input: changeContext(input, { [kind]: text }),
    change: { kind, detail },
  }));
}

function shorten(
  input: DecisionInput,
  { attributes, durations }: PolicyWords,
): readonly Candidate[] {
  if (!attributes.has('durationSeconds')) return [];
  const named = durations.flatMap((seconds) => [seconds, seconds - 1]);
  return [...new Set([...named, ...usualSeconds])]
    .filter((seconds) => 60 <= seconds && seconds < input.context.durationSeconds)
    .toSorted((a, b) => b - a)
    .map((durationSeconds) => ({
      input: changeContext(input, { durationSeconds }),
      change: {
        kind: 'duration',
        durationSeconds,
        detail: `Ask for ${durationSeconds} seconds or less.`,
      },
    }));
}

function changeService(input: DecisionInput, { services }: ExplainScope): readonly Candidate[] {
  return services
    .map((service) => ({ ...service, action: `connect.${service.protocol}` as const }))
    .filter(({ action, port }) => action !== input.action || port !== input.context.port)
    .map(({ action, protocol, port }) => ({
      input: { ...changeContext(input, { port }), action },
      change: { kind: 'service', protocol, port, detail: `Ask for ${protocol} on port ${port}.` },
    }));
}

function addAcr(input: DecisionInput, { acrs }: PolicyWords): readonly Candidate[] {
  const { caller } = input;
  return acrs
    .filter((acr) => !caller.acrs.includes(acr))
    .map((acr) => ({
      input: { ...input, caller: { ...caller, acrs: [...caller.acrs, acr] } },
      change: { kind: 'acr', acr, detail: `Satisfy the authentication context ${acr}.` },
    }));
}

function signInAgain(input: DecisionInput, { attributes }: PolicyWords): readonly Candidate[] {
  if (!attributes.has('signInAgeSeconds')) return [];
  if (input.context.signInAgeSeconds === undefined) return [];
  return [
    {
      input: changeContext(input, { signInAgeSeconds: 0 }),
      change: { kind: 'signIn', detail: 'Sign in again.' },
    },
  ];
}

function toTimeChange(seconds: number): Change {
  const at = new Date(seconds * 1000).toISOString();
  return { kind: 'time', at, detail: `Ask again at ${at}.` };
}

function changeTag(input: DecisionInput, { tags }: PolicyWords): readonly Candidate[] {
  const { target } = input;
  return [...tags].flatMap(([tag, values]): readonly Candidate[] => {
    const now = Object.entries(target.tags).find(([name]) => name.toLowerCase() === tag);
    const others = Object.fromEntries(
      Object.entries(target.tags).filter((one) => one[0] !== now?.[0]),
    );
    const toInput = (changed: Readonly<Record<string, string>>): DecisionInput => ({
      ...input,
      target: { ...target, tags: { ...others, ...changed } },
    });
    const removed: Candidate = {
      input: toInput({}),
      change: { kind: 'tag', tag, detail: `Remove the tag ${tag} of the target.` },
    };
    const set = values
      .filter((value) => value !== now?.[1])
      .map((value): Candidate => ({
        input: toInput({ [tag]: value }),
        change: { kind: 'tag', tag, value, detail: `Give the target the tag ${tag}=${value}.` },
      }));
    return now === undefined ? set : [removed, ...set];
  });
}

function addGroup(input: DecisionInput, { groups }: PolicyWords): readonly Candidate[] {
  const { caller, onBehalfOf: person } = input;
  const own = listOthers(caller, groups).map((group): Candidate => ({
    input: { ...input, caller: { ...caller, groups: [...caller.groups, group] } },
    change: { kind: 'group', group, detail: `Make the caller a member of the group ${group}.` },
  }));
  if (person === undefined) return own;
  const detail = 'Make the person for whom the caller acts a member of the group';
  const others = listOthers(person, groups).map((group): Candidate => ({
    input: { ...input, onBehalfOf: { ...person, groups: [...person.groups, group] } },
    change: { kind: 'group', group, detail: `${detail} ${group}.` },
  }));
  return [...own, ...others];
}

function listOthers(
  { groups: own }: Pick<DecisionInput['caller'], 'groups'>,
  groups: readonly string[],
): readonly string[] {
  const known = new Set(own.map((group) => group.toLowerCase()));
  return groups.filter((group) => !known.has(group));
}

function changeContext(
  input: DecisionInput,
  changes: Partial<DecisionInput['context']>,
): DecisionInput {
  return { ...input, context: { ...input.context, ...changes } };
}
