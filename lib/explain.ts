import * as z from 'zod';
import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { readGroups, toDecisionInput } from './decide.ts';
import {
  type Decision,
  type DecisionInput,
  decisionInputShape,
  type ExplainScope,
  type Explanation,
} from './decision.ts';
import { changeShape, outcomeShape } from './explain-view.ts';
import { BrokerError } from './failure.ts';
import { personPrefix } from './joint-decision.ts';
import { needShape } from './need.ts';
import { hasRole, requireRole } from './role.ts';
import { sessionRequestShape } from './session-request.ts';
import type { Service, Target, TargetReference } from './target.ts';
import { parseTargetReference } from './target-reference.ts';
import { termsShape } from './terms.ts';
import { actUnder, isCovered } from './use-delegation.ts';

const targetsMilliseconds = 12_000;

const defaultPorts = { ssh: 22, rdp: 3389 } as const;

const inputSections = decisionInputShape.shape;

/** What is to be explained: `POST /api/policy/explain`. */
export const explainRequestShape = sessionRequestShape.safeExtend({
  caller: inputSections.caller
    .exactOptional()
    .describe('Who asks, instead of oneself. Needs the role Policy.Read.'),
  onBehalfOf: inputSections.onBehalfOf.describe('For whom that one asks, where `caller` says who.'),
});

export type ExplainRequest = z.infer<typeof explainRequestShape>;

/** A decision, the facts it was made on, and what would turn it. */
export const explainAnswerShape = z.strictObject({
  outcome: outcomeShape,
  terms: termsShape.exactOptional().describe('With `needs`, those that apply once they are met.'),
  needs: z
    .array(needShape)
    .exactOptional()
    .describe('What is missing for the terms to apply, where that is why this is no allow.'),
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
 * hides from the caller, are answered alike and searched alike. Costs the caller a request of the budget; who asks about
 * somebody else is recorded before the answer.
 */
export async function explainRequest(
  broker: Broker,
  caller: Caller,
  { caller: other, onBehalfOf, ...wanted }: ExplainRequest,
  clientIp?: string,
): Promise<ExplainAnswer> {
  requireRole(caller, other === undefined ? 'Session.Request' : 'Policy.Read');
  requireOwn(other, onBehalfOf, wanted.delegation);
  if (other === undefined) readGroups(caller);
  const reference = parseTargetReference(wanted.target);
  const wish = {
    ...wanted,
    port: readPort(wanted),
    durationSeconds: Math.min(wanted.durationSeconds, broker.limits.maxSessionSeconds),
  };
  const subject = await withinCallerBudget(broker, caller, async () =>
    other === undefined ? findSubject(broker, caller, wish) : toSubject(other, onBehalfOf),
  );
  const target = await findCovered(broker, subject, reference);
  // The address that a question comes from is that of whoever asks it.
  const ip = other !== undefined || clientIp === undefined ? {} : { clientIp };
  const circumstance = { now: broker.now(), ...ip };
  const input = toDecisionInput(subject, target ?? nowhere, wish, circumstance);
  const answer = answerAbout(broker, target, input, hasRole(caller, 'Policy.Read'));
  if (other !== undefined)
    await broker.audit.append([toEvent(caller, answer, target?.id ?? wanted.target)]);
  return answer;
}

/** Returns the target; undefined also when it is none of those that the delegation of the subject is about. */
async function findCovered(
  { targets }: Broker,
  subject: Caller,
  reference: TargetReference,
): Promise<Target | undefined> {
  const found = await targets.find(reference, AbortSignal.timeout(targetsMilliseconds));
  return found !== undefined && isCovered(subject, found.id) ? found : undefined;
}

function answerAbout(
  broker: Broker,
  target: Target | undefined,
  input: DecisionInput,
  isReader: boolean,
): ExplainAnswer {
  const explanation = explain(broker, input, { services: target?.services ?? [], isReader });
  return target === undefined
    ? toAnswer(toAbsent(explanation), input, false)
    : toAnswer(explanation, input, isReader);
}

function toEvent(
  { id, name }: Caller,
  { outcome, digest, facts }: ExplainAnswer,
  target: string,
): AuditEvent {
  const { onBehalfOf } = facts;
  return {
    type: 'policy.explained',
    caller: { id, name },
    subject: facts.caller.id,
    ...(onBehalfOf === undefined ? {} : { onBehalfOf: onBehalfOf.id }),
    target,
    action: facts.action,
    port: facts.context.port,
    outcome,
    digest,
  };
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

function requireOwn(
  other: DecisionInput['caller'] | undefined,
  onBehalfOf: DecisionInput['onBehalfOf'],
  delegation: string | undefined,
): void {
  const [wrong] = [
    ...(other === undefined && onBehalfOf !== undefined ? ['/onBehalfOf'] : []),
    // That of somebody else is not shown here, not even by what it leads to.
    ...(other !== undefined && delegation !== undefined ? ['/delegation'] : []),
  ];
  if (wrong === undefined) return;
  throw new BrokerError('request-invalid', 'Correct what the faults name, then send it again.', {
    faults: [{ pointer: wrong, detail: 'Leave this out, or tell the facts of caller with it.' }],
  });
}

async function findSubject(
  broker: Broker,
  caller: Caller,
  { delegation: id, ...service }: Service & { readonly delegation?: string },
): Promise<Caller> {
  return id === undefined ? caller : actUnder(broker, caller, { id, service });
}

function toSubject(
  facts: DecisionInput['caller'],
  onBehalfOf: DecisionInput['onBehalfOf'],
): Caller {
  const person =
    onBehalfOf === undefined ? {} : { onBehalfOf: { ...onBehalfOf, name: onBehalfOf.id } };
  return { ...facts, name: facts.id, roles: [], canStepUp: false, ...person };
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
  { target, onBehalfOf, ...own }: DecisionInput,
  isReader: boolean,
): ExplainAnswer {
  const { decision, nearest, endsAt } = explanation;
  const { outcome, digest } = decision;
  return {
    outcome,
    ...(decision.outcome === 'deny' ? {} : { terms: decision.terms }),
    ...(decision.outcome === 'needs' ? { needs: [...decision.needs] } : {}),
    digest,
    ...toRules(decision, isReader),
    // What is known of the person is not for the workload that acts for them.
    facts: isReader ? { ...own, target, ...(onBehalfOf && { onBehalfOf }) } : own,
    advice: decision.outcome === 'deny' ? [...decision.advice] : [],
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
  // Of several permits each one is enough; caller and person each need one.
  const sides = Map.groupBy(policies, (id) => id.startsWith(personPrefix));
  const hangsOn = [...sides.values()].flatMap((side) => (side.length === 1 ? side : []));
  return { policies: policies.map((id) => ({ id, effect: 'permit' })), hangsOn };
}
