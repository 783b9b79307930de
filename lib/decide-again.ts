import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Terms } from './terms.ts';
import { type Judged, refuseDecision } from './unmet.ts';

/** A new decision that allows what a session asks for, and the event that records it. */
export type AllowedAgain = {
  readonly terms: Terms;
  readonly policies: readonly string[];
  readonly digest: string;
  readonly event: AuditEvent;
};

/**
 * Decides about a session that was granted before. Whatever is no allow is recorded before it is told, with
 * `access-denied` and the sentence given, `needs-unmet` or `step-up-needed`; an allowance is for the caller to record,
 * before its effect.
 */
export async function decideAgain(broker: Broker, judged: Judged): Promise<AllowedAgain> {
  const { session, input } = judged;
  const decision = broker.policy.decide(input);
  if (decision.outcome !== 'allow') return refuseDecision(broker, judged, decision);
  const { policies, digest, terms } = decision;
  const event = { type: 'session.allowed', session, policies, digest, input, terms } as const;
  return { terms, policies, digest, event };
}
