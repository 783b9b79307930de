import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { readGroups, toDecisionInput } from './decide.ts';
import {
  type Decision,
  type DecisionInput,
  decisionInputShape,
  type ExplainScope,
  type Explanation,
} from './decision.ts';
import { changeShape } from './explain-view.ts';
import { BrokerError } from './failure.ts';
import { hasRole, requireRole } from './role.ts';
import { sessionRequestShape } from './session-request.ts';
import type { Target } from './target.ts';
import { parseTargetReference } from './target-reference.ts';
import { termsShape } from './terms.ts';

const targetsMilliseconds = 12_000;

const defaultPorts = { ssh: 22, rdp: 3389 } as const;

const inputSections = decisionInputShape.shape;

/** What is to be explained: `POST /api/policy/explain`. */
export const explainRequestShape = sessionRequestShape.safeExtend({
  caller: inputSections.caller
    .exactOptional()
    .describe('Who asks, instead of oneself. Needs the role Policy.Read.'),
});

export type ExplainRequest = z.infer<typeof explainRequestShape>;

/** A decision, the facts it was made on, and what would turn it. */
export const explainAnswerShape = z.strictObject({
  outcome: z.enum(['allow', 'deny']),
  terms: termsShape.exactOptional(),
  digest: z.string(),
  policies: z
    .array(z.strictObject({ id: z.string(), effect: z.enum(['permit', 'forbid']) }))
    .describe('The policies behind the decision. Empty without the role Policy.Read.'),
  hangsOn: z
    .array(z.string())
    .exactOptional()
    .describe('The permit without which there would be no allow. Only with the role Policy.Read.'),
  facts: decisionInputShape
    .extend({ target: inputSections.target.exactOptional() })
    .describe('What was decided on. The target is shown with the role Policy.Read alone.'),
  advice: z.array(z.string()),
  nearest: z
    .array(changeShape)
    .describe('Single changes that turn a deny into an allow, the smallest first.'),
  endsAt: z.iso
    .datetime()
    .exactOptional()
    .describe('When, within seven days, an allow ends by time alone.'),
});

export type ExplainAnswer = z.infer<typeof explainAnswerShape>;

/**
 * Explains what policy decides about a request now, without making it. A target that is absent, and one that policy
 * hides from the caller, are answered alike and searched alike.
 */
export async function explainRequest(
  broker: Broker,
  caller: Caller,
  { caller: other, ...wanted }: ExplainRequest,
  clientIp?: string,
): Promise<ExplainAnswer> {
  requireRole(caller, other === undefined ? 'Session.Request' : 'Policy.Read');
  const subject = other === undefined ? caller : toSubject(other);
  readGroups(subject);
  const reference = parseTargetReference(wanted.target);
  const target = await broker.targets.find(reference, AbortSignal.timeout(targetsMilliseconds));
  const wish = {
    ...wanted,
    port: readPort(wanted),
    durationSeconds: Math.min(wanted.durationSeconds, broker.limits.maxSessionSeconds),
  };
  // The address that a question comes from is that of whoever asks it.
  const ip = other !== undefined || clientIp === undefined ? {} : { clientIp };
  const circumstance = { now: broker.now(), ...ip };
  const input = toDecisionInput(subject, target ?? nowhere, wish, circumstance);
  const isReader = hasRole(caller, 'Policy.Read');
  const explanation = explain(broker, input, { services: target?.services ?? [], isReader });
  if (target === undefined) return toAnswer(toAbsent(explanation), input, false);
  return toAnswer(explanation, input, isReader);
}

// What is searched in place of an absent target, so that the time which it takes tells nothing.
const nowhere: Target = {
  id: '00000000-0000-4000-8000-000000000000',
  name: 'absent',
  source: 'inventory',
  subscription: 'absent',
  resourceGroup: 'absent',
  os: 'unknown',
  power: 'unknown',
  tags: {},
  services: [],
};

function toSubject(facts: DecisionInput['caller']): Caller {
  return { ...facts, name: facts.id, roles: [], canStepUp: false };
}

function readPort({ protocol, port }: Omit<ExplainRequest, 'caller'>): number {
  const found = protocol === 'tcp' ? port : (port ?? defaultPorts[protocol]);
  if (found === undefined)
    throw new BrokerError('request-invalid', 'Give the port: tcp has no default.');
  return found;
}

function explain({ policy }: Broker, input: DecisionInput, scope: ExplainScope): Explanation {
  return policy.explain?.(input, scope) ?? { decision: policy.decide(input), nearest: [] };
}

function toAbsent({ decision: { digest } }: Explanation): Explanation {
  return { decision: { outcome: 'deny', policies: [], advice: [], digest }, nearest: [] };
}

function toAnswer(
  explanation: Explanation,
  { target, ...own }: DecisionInput,
  isReader: boolean,
): ExplainAnswer {
  const { decision, nearest, endsAt } = explanation;
  const { outcome, digest } = decision;
  return {
    outcome,
    ...(decision.outcome === 'allow' ? { terms: decision.terms } : {}),
    digest,
    ...toRules(decision, isReader),
    facts: isReader ? { ...own, target } : own,
    advice: decision.outcome === 'allow' ? [] : [...decision.advice],
    nearest: [...nearest],
    ...(endsAt === undefined ? {} : { endsAt: new Date(endsAt * 1000).toISOString() }),
  };
}

function toRules(
  { outcome, policies }: Decision,
  isReader: boolean,
): Pick<ExplainAnswer, 'policies' | 'hangsOn'> {
  if (!isReader) return { policies: [] };
  if (outcome === 'deny') return { policies: policies.map((id) => ({ id, effect: 'forbid' })) };
  // Of several permits each one is enough.
  const hangsOn = policies.length === 1 ? [...policies] : [];
  return { policies: policies.map((id) => ({ id, effect: 'permit' })), hangsOn };
}
