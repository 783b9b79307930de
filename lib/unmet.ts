import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { ApprovalNeed, Need } from './need.ts';
import { describeNeed } from './need.ts';

/** A decision that does not let the session be used, at least not yet. */
export type Refusing = Exclude<Decision, { readonly outcome: 'allow' }>;

/** What was decided on, about which session, and what is told when policy forbids it. */
export type Judged = {
  readonly session: string;
  readonly input: DecisionInput;
  readonly sentence: string;
  /** Who is to hear of it, where that is not a gateway. */
  readonly caller?: Pick<Caller, 'canStepUp'>;
};

/** Returns the event that records a decision which is no allow. */
export function toRefusingEvent(
  { session, input }: Pick<Judged, 'session' | 'input'>,
  decision: Refusing,
): AuditEvent {
  const { policies, digest } = decision;
  const facts = { session, policies, digest, input };
  return decision.outcome === 'deny'
    ? { type: 'session.denied', ...facts, advice: decision.advice }
    : { type: 'session.needs', ...facts, terms: decision.terms, needs: decision.needs };
}

/** Returns the failure that a decision becomes for the caller: `access-denied`, `needs-unmet` or `step-up-needed`. */
function toRefusalOf(
  { sentence, caller }: Pick<Judged, 'sentence' | 'caller'>,
  decision: Refusing,
): BrokerError {
  if (decision.outcome === 'deny')
    return new BrokerError('access-denied', sentence, { advice: decision.advice });
  const { needs } = decision;
  const acr = needs.find((need) => need.kind === 'acr')?.acr;
  const advice = needs.map(describeNeed);
  // Only a client that says that it understands a claims challenge gets one: others would retry for ever.
  if (acr !== undefined && caller?.canStepUp === true)
    return new BrokerError('step-up-needed', `Sign in again, with ${acr}.`, { acr, needs, advice });
  return new BrokerError('needs-unmet', advice.join(' '), { needs, advice });
}

/** Records a decision that is no allow before it is told. Always throws. */
export async function refuseDecision(
  broker: Broker,
  judged: Judged,
  decision: Refusing,
  before: readonly AuditEvent[] = [],
): Promise<never> {
  await broker.audit.append([...before, toRefusingEvent(judged, decision)]);
  throw toRefusalOf(judged, decision);
}

/** Returns the needs when other people alone can meet them; undefined when the caller has to do something too. */
export function findApprovalNeeds(needs: readonly Need[]): readonly ApprovalNeed[] | undefined {
  const approvals = needs.filter((need) => need.kind === 'approval');
  return approvals.length === needs.length ? approvals : undefined;
}
