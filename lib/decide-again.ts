import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { Terms } from './terms.ts';

/** A new decision that allows what a session asks for, and the event that records it. */
export type AllowedAgain = {
  readonly terms: Terms;
  readonly digest: string;
  readonly event: AuditEvent;
};

/**
 * Decides about a session that was granted before. A denial is recorded before it is told, with `access-denied` and the
 * sentence given; an allowance is for the caller to record, before its effect.
 */
export async function decideAgain(
  broker: Broker,
  session: string,
  input: DecisionInput,
  sentence: string,
): Promise<AllowedAgain> {
  const decision = broker.policy.decide(input);
  const { policies, digest } = decision;
  const facts = { session, policies, digest, input };
  if (decision.outcome === 'deny') {
    const { advice } = decision;
    await broker.audit.append([{ type: 'session.denied', ...facts, advice }]);
    throw new BrokerError('access-denied', sentence, { advice });
  }
  const { terms } = decision;
  return { terms, digest, event: { type: 'session.allowed', ...facts, terms } };
}
