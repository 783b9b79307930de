import * as z from 'zod';
import type { Broker } from './broker.ts';
import { withinCallerBudget, withinTargetBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { toDecisionInput } from './decide.ts';
import type { DecisionInput } from './decision.ts';
import type { Allowed } from './extension.ts';
import { findTotalSeconds, holdExtension, toLaterDeadline } from './extension.ts';
import { BrokerError } from './failure.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { toNotFound } from './not-found.ts';
import { requireRole } from './role.ts';
import { toDueRow } from './session-index.ts';
import type { SessionView } from './session-view.ts';
import type { Session, StoredSession } from './session.ts';
import { findSession, isOfMaker, replaceSession, requireOpen } from './session.ts';
import { sendSignal } from './signal.ts';
import type { Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';
import { findSameTarget, toChanged } from './same-target.ts';
import { findApprovalNeeds, refuseDecision, toRefusingEvent } from './unmet.ts';
import { actAgain } from './use-delegation.ts';
import { viewConnections } from './view-session.ts';

// Each try means that somebody else wrote the row in between, so a handful is plenty.
const maxTries = 10;

/** `POST /api/sessions/{id}/extend`. */
export const extendRequestShape = z.strictObject({
  durationSeconds: z
    .int()
    .min(60)
    .max(86_400)
    .describe('How long the session may last from now. Policy may allow less.'),
});

export type ExtendRequest = z.infer<typeof extendRequestShape>;

/** A session whose extension was asked for, and whether that waits for an approval. */
export type Extended = { readonly view: SessionView; readonly isWaiting: boolean };

/**
 * Gives an open session of the caller a later deadline; its connections stay up. Policy decides on the whole time since
 * the session began, so that no chain of extensions outlasts what one request may ask for. Never shortens. Where policy
 * asks for an approval, each later deadline needs one of its own.
 */
export async function extendSession(
  broker: Broker,
  caller: Caller,
  id: string,
  { durationSeconds, clientIp }: ExtendRequest & { readonly clientIp?: string },
): Promise<Extended> {
  requireRole(caller, 'Session.Request');
  const stored = await withinCallerBudget(broker, caller, async () => findSession(broker, id));
  if (stored === undefined || !isOfMaker(stored.session, caller)) throw toNotFound();
  const { session } = stored;
  requireOpen(session, broker.now());
  const acting = await actAgain(broker, caller, session);
  const locks = await withinTargetBudget(broker, caller, session.target.id, async () =>
    readLocks(broker),
  );
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await findSameTarget(broker, session, signal);
  if (target === undefined) throw toChanged();
  requireUnlocked(locks, toLockable(broker, id, session.input));
  const input = toExtensionInput(broker, acting, {
    session,
    target,
    durationSeconds,
    ...(clientIp === undefined ? {} : { clientIp }),
  });
  const decision = broker.policy.decide(input);
  if (decision.outcome === 'allow')
    return {
      view: await grantLonger(broker, caller, stored, { input, decision }),
      isWaiting: false,
    };
  const needs = decision.outcome === 'needs' ? findApprovalNeeds(decision.needs) : undefined;
  const sentence = 'Policy does not permit a longer session.';
  const judged = { session: id, input, sentence, caller };
  if (decision.outcome === 'deny' || needs === undefined)
    return refuseDecision(broker, judged, decision);
  const event = toRefusingEvent(judged, decision);
  const held = await holdExtension(broker, stored, { needs, durationSeconds, input, event });
  return { view: await viewConnections(broker, held), isWaiting: true };
}

type Wanted = {
  readonly session: Session;
  readonly target: Target;
  readonly durationSeconds: number;
  readonly clientIp?: string;
};

function toExtensionInput(
  broker: Broker,
  caller: Caller,
  { session, target, durationSeconds, clientIp }: Wanted,
): DecisionInput {
  const now = broker.now();
  const { protocol, port, input: first } = session;
  // What was approved was the first time, not a longer one.
  const { approvals: _, ...asked } = first.context;
  const seconds = findTotalSeconds(broker, session, durationSeconds);
  const wish = { ...asked, protocol, port, durationSeconds: seconds };
  const ip = clientIp === undefined ? {} : { clientIp };
  return toDecisionInput(caller, target, wish, { now, ...ip });
}

async function grantLonger(
  broker: Broker,
  caller: Caller,
  stored: StoredSession,
  { input, decision }: { readonly input: DecisionInput; readonly decision: Allowed },
): Promise<SessionView> {
  const { session } = stored;
  const { id } = session;
  const { policies, digest, terms } = decision;
  await broker.audit.append([
    { type: 'session.allowed', session: id, policies, digest, input, terms },
  ]);
  const deadline = toLaterDeadline(broker, session, { input, decision });
  // The process that stored this deadline may have died before it told the gateways.
  if (deadline === session.deadline)
    await sendSignal(broker, { order: 'deadline', session: id, deadline });
  if (deadline <= session.deadline) return viewConnections(broker, session);
  return viewConnections(broker, await storeDeadline(broker, caller, stored, deadline));
}

async function storeDeadline(
  broker: Broker,
  caller: Caller,
  stored: StoredSession,
  deadline: string,
): Promise<Session> {
  const { session } = stored;
  // The look-up of the target took its time.
  requireOpen(session, broker.now());
  const by = { id: caller.id, name: caller.name };
  await broker.audit.append([{ type: 'session.extended', session: session.id, by, deadline }]);
  // The new place in the list first: a session in two places ends at its deadline, one in none never does.
  await broker.state.insert(toDueRow({ ...session, deadline }));
  return replaceDeadline(broker, stored, deadline, maxTries);
}

async function replaceDeadline(
  broker: Broker,
  { session, etag }: StoredSession,
  deadline: string,
  tries: number,
): Promise<Session> {
  const extended: Session = { ...session, deadline };
  if ((await replaceSession(broker, { session: extended, etag })) === 'replaced') {
    await sendSignal(broker, { order: 'deadline', session: session.id, deadline });
    return extended;
  }
  // Most often its first connection has been opened. One that has ended meanwhile stays ended.
  const again = await findSession(broker, session.id);
  if (again === undefined || tries === 0)
    throw new BrokerError('session-changed', 'The session has changed meanwhile. Try again.');
  requireOpen(again.session, broker.now());
  // Another extension may have been granted meanwhile, and none shortens.
  if (deadline <= again.session.deadline) return again.session;
  return replaceDeadline(broker, again, deadline, tries - 1);
}
