import { createHash } from 'node:crypto';
import type { AuthorizationAnswer } from '@cedar-policy/cedar-wasm/nodejs';
import type { Log } from './broker.ts';
import type { Decision, DecisionInput, Policy } from './decision.ts';
import { BrokerError } from './failure.ts';
import { checkPolicies, type PolicySet } from './policy-check.ts';
import type { PolicyEngine } from './policy-engine.ts';
import { explainDecision } from './policy-explain.ts';
import { collectWords, type PolicyWords } from './policy-explain-words.ts';
import { toCedarRequest } from './policy-request.ts';
import type { PolicyFile } from './policy-scan.ts';
import { policySchema } from './policy-schema.ts';
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
    try {
      return { ...evaluate(check.set, engine, input), digest };
    } catch (cause) {
      log('policy.failed', { digest, cause: String(cause) });
      return { outcome: 'deny', policies: [], advice: [], digest };
    }
  };
  let words: PolicyWords | undefined;
  return {
    digest,
    decide,
    explain: (input, scope) => {
      words ??= readWords(check.set, engine);
      const isAllowed = (tried: DecisionInput): boolean => permits(check.set, engine, tried);
      return explainDecision(isAllowed, decide(input), { input, scope, words });
    },
  };
}

function readWords({ texts }: PolicySet, engine: PolicyEngine): PolicyWords {
  const answers = Object.values(texts).map((text) => engine.call((c) => c.policyToJson(text)));
  return collectWords(answers.map((answer) => (answer.type === 'success' ? answer.json : {})));
}

/** Returns the name of a set: SHA-256 of the schema and the files in the order of their names, whatever ends their lines. */
function toDigest(files: readonly PolicyFile[]): string {
  const texts = files.map(({ name, text }) => [name, text.replaceAll('\r\n', '\n')] as const);
  const ordered = texts.sort(([a], [b]) => (a < b ? -1 : 1));
  const canonical = `sallyport-policy-1\n${JSON.stringify([policySchema, ...ordered])}`;
  return createHash('sha256').update(canonical).digest('base64url');
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
  if (isAllowed) return toAllow(rules);
  const policies = rules.map(({ id }) => id);
  const advice = rules.flatMap((rule) => rule.advice ?? []);
  // Whom nothing permits must not learn that there is something to forbid: advice would tell a hidden target from an
  // absent one.
  const isTold = advice.length > 0 && readAnswer(engine.authorize(set.permits, request)).isAllowed;
  return { outcome: 'deny', policies, advice: isTold ? advice : [] };
}

/** Says what `evaluate` would decide, without its reasons. A doubt about what is only tried concerns no operator. */
function permits(set: PolicySet, engine: PolicyEngine, input: DecisionInput): boolean {
  try {
    return readAnswer(engine.authorize(set.texts, toCedarRequest(input, set))).isAllowed;
  } catch {
    return false;
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

/** Names the permit whose terms apply first, then the others that permit as well. */
function toAllow(offers: readonly Rule[]): Undigested<Decision> {
  const [best] = offers;
  if (best === undefined) throw new Error('nothing permits what Cedar allows');
  return { outcome: 'allow', policies: offers.map(({ id }) => id), terms: best.terms };
}

function findRule({ rules }: PolicySet, id: string): Rule {
  const rule = rules.get(id);
  if (rule === undefined) throw new Error('Cedar names a policy that is not in the set');
  return rule;
}

function toMessage({ message }: { readonly message: string }): string {
  return message;
}
