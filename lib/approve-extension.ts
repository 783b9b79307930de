import type { Approval } from './approval.ts';
import { findApprovedSeconds, toApprovals } from './approval.ts';
import type { Broker } from './broker.ts';
import { requireRecordable, toTargetFacts } from './decide.ts';
import type { Allowed } from './extension.ts';
import { findTotalSeconds, toLaterDeadline } from './extension.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { findSameTarget, toChanged } from './same-target.ts';
import { toDueRow } from './session-index.ts';
import type { Session, StoredSession } from './session.ts';
import { replaceSession, requireOpen } from './session.ts';
import { targetsMilliseconds } from './target.ts';
import { toRefusingEvent } from './unmet.ts';
import { isRevoked, toRevoked } from './use-delegation.ts';
import type { DecisionInput } from './decision.ts';

/**
 * Gives a session the later deadline that was approved, once policy has decided again, in the one write that counts the
 * last vote. What policy does not allow any more is denied. Returns undefined when somebody else has written since.
 */
export async function extendApproved(
  broker: Broker,
  { session, etag }: StoredSession,
  approval: Approval,
): Promise<Session | undefined> {
  requireOpen(session, broker.now());
  const [isOver, locks] = await Promise.all([isRevoked(broker, session), readLocks(broker)]);
  if (isOver) throw toRevoked();
  requireUnlocked(locks, toLockable(broker, session.id, session.input));
  const input = await toInputNow(broker, session, approval);
  const decision = broker.policy.decide(input);
  const { id } = session;
  if (decision.outcome !== 'allow') {
    await broker.audit.append([toRefusingEvent({ session: id, input }, decision)]);
    const denied: Session = { ...session, extension: { ...approval, outcome: 'denied' } };
    return store(broker, { session: denied, etag });
  }
  const deadline = toLaterDeadline(broker, session, { input, decision });
  const extended: Session = { ...session, extension: approval };
  if (deadline <= session.deadline) return store(broker, { session: extended, etag });
  await record(broker, session, { input, decision, deadline });
  await broker.state.insert(toDueRow({ ...extended, deadline }));
  return store(broker, { session: { ...extended, deadline }, etag });
}

async function toInputNow(
  broker: Broker,
  session: Session,
  approval: Approval,
): Promise<DecisionInput> {
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await findSameTarget(broker, session, signal);
  if (target === undefined) throw toChanged();
  // Of the caller counts what was known when they asked: they may have left a group since the session was granted.
  const { extensionInput: input = session.input } = session;
  const context = {
    ...input.context,
    now: Math.floor(broker.now().getTime() / 1000),
    durationSeconds: findTotalSeconds(broker, session, findApprovedSeconds(approval)),
    approvals: toApprovals(approval),
  };
  return requireRecordable({ ...input, target: toTargetFacts(target), context });
}

type Extension = {
  readonly input: DecisionInput;
  readonly decision: Allowed;
  readonly deadline: string;
};

async function record(
  broker: Broker,
  { id: session, caller: by }: Session,
  { input, decision, deadline }: Extension,
): Promise<void> {
  const { policies, digest, terms } = decision;
  await broker.audit.append([
    { type: 'session.allowed', session, policies, digest, input, terms },
    { type: 'session.extended', session, by, deadline },
  ]);
}

async function store(broker: Broker, stored: StoredSession): Promise<Session | undefined> {
  return (await replaceSession(broker, stored)) === 'replaced' ? stored.session : undefined;
}
