import type { AuthorizationAnswer } from '@cedar-policy/cedar-wasm/nodejs';
import type { Log } from './broker.ts';
import type { Decision, DecisionInput, Policy } from './decision.ts';
import { BrokerError } from './failure.ts';
import { decideJointly } from './joint-decision.ts';
import { findNeeds, type Need } from './need.ts';
import { checkPolicies, type PolicySet } from './policy-check.ts';
import { toDigest } from './policy-digest.ts';
import type { PolicyEngine } from './policy-engine.ts';
import { explainDecision } from './policy-explain.ts';
import { collectWords, type PolicyWords } from './policy-explain-words.ts';
import { toCedarRequest } from './policy-request.ts';
import type { PolicyFile } from './policy-scan.ts';
import { compareOffers, type Rule } from './policy-terms.ts';

/**
 * Returns the policy that the files state, or fails with `policy-unavailable` and the findings as its cause. A set
 * without a policy denies everything. The log hears of every decision that was denied because it was in doubt.
 */
export function loadPolicy(files: readonly PolicyFile[], engine: PolicyEngine, log: Log): Policy {
  const check = checkPolicies(files, engine);
  if (check.outcome === 'faulty') {
    const findings = check.findings.map(({ file, line, detail }) => `${file}:${line}: ${detail}`);
    throw new BrokerError('policy-unavailable', 'Ask the operator to repair the policies.', {
      cause: new Error(findings.join('\n')),
    });
  }
  const digest = toDigest(files);
  const decide = (input: DecisionInput): Decision => {
    const decideSide = (side: DecisionInput): Decision => ({
      ...evaluate(check.set, engine, side),
      digest,
    });
    try {
      return decideJointly(decideSide, input);
    } catch (cause) {
      log('policy.failed', { digest, cause: String(cause) });
      return { outcome: 'deny', policies: [], advice: [], digest };
    }
  };
  let words: PolicyWords | undefined;
  const names = [...check.set.rules.values()].flatMap(({ terms }) => terms.profile ?? []);
  return {
    digest,
    profiles: [...new Set(names)].sort(),
    decide,
    explain: (input, scope) => {
      words ??= readWords(check.set, engine);
      const decision = decide(input);
      // What may be used at once no longer may when it comes to need something; what is refused is better off then.
      const isAllowed = (tried: DecisionInput): boolean => {
        const outcome = tryOut(check.set, engine, tried);
        return decision.outcome === 'allow' ? outcome === 'allow' : outcome !== 'deny';
      };
      return explainDecision(isAllowed, decision, { input, scope, words });
    },
  };
}

function readWords({ texts }: PolicySet, engine: PolicyEngine): PolicyWords {
  const answers = Object.values(texts).map((text) => engine.call((c) => c.policyToJson(text)));
  return collectWords(answers.map((answer) => (answer.type === 'success' ? answer.json : {})));
}

// A conditional type, so that the two kinds of decision stay apart.
type Undigested<D> = D extends Decision ? Omit<D, 'digest'> : never;

function evaluate(
  set: PolicySet,
  engine: PolicyEngine,
  input: DecisionInput,
): Undigested<Decision> {
  const request = toCedarRequest(input, set);
  const { isAllowed, reason } = readAnswer(engine.authorize(set.texts, request));
  const rules = reason.map((id) => findRule(set, id)).sort(compareOffers);
  if (isAllowed) return chooseOffer(rules, input);
  const policies = rules.map(({ id }) => id);
  const advice = rules.flatMap((rule) => rule.advice ?? []);
  // Whom nothing permits must not learn that there is something to forbid: advice would tell a hidden target from an
  // absent one.
  const isTold = advice.length > 0 && readAnswer(engine.authorize(set.permits, request)).isAllowed;
  return { outcome: 'deny', policies, advice: isTold ? advice : [] };
}

/** Returns what `decide` would come to, without its reasons. A doubt about what is only tried concerns no operator. */
function tryOut(set: PolicySet, engine: PolicyEngine, input: DecisionInput): Decision['outcome'] {
  const decideSide = (side: DecisionInput): Decision => {
    const { isAllowed, reason } = readAnswer(
      engine.authorize(set.texts, toCedarRequest(side, set)),
    );
    const rules = isAllowed ? reason.map((id) => findRule(set, id)) : [];
    return { ...chooseOffer(rules, side), digest: '' };
  };
  try {
    return decideJointly(decideSide, input).outcome;
  } catch {
    return 'deny';
  }
}

function readAnswer(answer: AuthorizationAnswer): {
  readonly isAllowed: boolean;
  readonly reason: readonly string[];
} {
  if (answer.type === 'failure') throw new Error(answer.errors.map(toMessage).join('; '));
  const { decision, diagnostics } = answer.response;
  // Cedar skips a policy that errs, also when it is a forbid.
  if (diagnostics.errors.length > 0)
    throw new Error(diagnostics.errors.map(({ error }) => toMessage(error)).join('; '));
  return { isAllowed: decision === 'allow', reason: diagnostics.reason };
}

type Offer = { readonly rule: Rule; readonly needs: readonly Need[] };

/**
 * Chooses among the permits that hold: the one that needs least of the caller, then least of others, then the most
 * generous. Names it first, then the others.
 */
function chooseOffer(permits: readonly Rule[], input: DecisionInput): Undigested<Decision> {
  const { profile } = input.context;
  const offers = permits
    .filter(({ terms }) => profile === undefined || terms.profile === profile)
    .map((rule): Offer => ({ rule, needs: findNeeds(rule.terms, input) }))
    .sort((a, b) => compareNeeds(a.needs, b.needs) || compareOffers(a.rule, b.rule));
  const [best] = offers;
  if (best === undefined) return { outcome: 'deny', policies: [], advice: [] };
  const policies = offers.map(({ rule }) => rule.id);
  const { needs, rule } = best;
  if (needs.length === 0) return { outcome: 'allow', policies, terms: rule.terms };
  return { outcome: 'needs', policies, terms: rule.terms, needs };
}

// What others alone can meet waits, and what the caller must mend is refused: the second must not take the first away.
function compareNeeds(a: readonly Need[], b: readonly Need[]): number {
  const own = (needs: readonly Need[]): number =>
    needs.filter(({ kind }) => kind !== 'approval').length;
  return own(a) - own(b) || a.length - b.length;
}

function findRule({ rules }: PolicySet, id: string): Rule {
  const rule = rules.get(id);
  if (rule === undefined) throw new Error('Cedar names a policy that is not in the set');
  return rule;
}

function toMessage({ message }: { readonly message: string }): string {
  return message;
}
