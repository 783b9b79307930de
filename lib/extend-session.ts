import * as z from 'zod';
import type { Broker } from './broker.ts';
import { withinCallerBudget, withinTargetBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { decideAgain } from './decide-again.ts';
import { toDecisionInput } from './decide.ts';
import { BrokerError } from './failure.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { toNotFound } from './not-found.ts';
import { requireRole } from './role.ts';
import { toDueRow } from './session-index.ts';
import type { SessionView } from './session-view.ts';
import type { Session, StoredSession } from './session.ts';
import { findSession, replaceSession, requireOpen } from './session.ts';
import { sendSignal } from './signal.ts';
import type { Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';
import { findSameTarget, toChanged } from './same-target.ts';
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

/**
 * Gives an open session of the caller a later deadline; its connections stay up. Policy decides on the whole time since
 * the session began, so that no chain of extensions outlasts what one request may ask for. Never shortens.
 */
export async function extendSession(
  broker: Broker,
  caller: Caller,
  id: string,
  { durationSeconds, clientIp }: ExtendRequest & { readonly clientIp?: string },
): Promise<SessionView> {
  requireRole(caller, 'Session.Request');
  const stored = await withinCallerBudget(broker, caller, async () => findSession(broker, id));
  if (stored?.session.caller.id !== caller.id) throw toNotFound();
  const { session } = stored;
  requireOpen(session, broker.now());
  const locks = await withinTargetBudget(broker, caller, session.target.id, async () =>
    readLocks(broker),
  );
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await findSameTarget(broker, session, signal);
  if (target === undefined) throw toChanged();
  requireUnlocked(locks, toLockable(broker, id, session.input));
  const ip = clientIp === undefined ? {} : { clientIp };
  const deadline = await decideDeadline(broker, caller, {
    session,
    target,
    durationSeconds,
    ...ip,
  });
  // The process that stored this deadline may have died before it told the gateways.
  if (deadline === session.deadline)
    await sendSignal(broker, { order: 'deadline', session: id, deadline });
  if (deadline <= session.deadline) return viewConnections(broker, session);
  return viewConnections(broker, await storeDeadline(broker, caller, stored, deadline));
}

type Wanted = {
  readonly session: Session;
  readonly target: Target;
  readonly durationSeconds: number;
  readonly clientIp?: string;
};

async function decideDeadline(
  broker: Broker,
  caller: Caller,
  { session, target, durationSeconds, clientIp }: Wanted,
): Promise<string> {
  const now = broker.now();
  const begun = Math.floor(new Date(session.createdAt).getTime() / 1000);
  const passed = Math.floor(now.getTime() / 1000) - begun;
  const { protocol, port, input: first } = session;
  const cap = broker.limits.maxSessionSeconds;
  const wish = {
    ...first.context,
    protocol,
    port,
    durationSeconds: Math.min(passed + durationSeconds, cap),
  };
  const ip = clientIp === undefined ? {} : { clientIp };
  const input = toDecisionInput(caller, target, wish, { now, ...ip });
  const sentence = 'Policy does not permit a longer session.';
  const { terms, event } = await decideAgain(broker, session.id, input, sentence);
  await broker.audit.append([event]);
  const allowed = Math.min(wish.durationSeconds, terms.maxDurationSeconds ?? cap);
  return new Date((begun + allowed) * 1000).toISOString();
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
  return replaceDeadline(broker, again, deadline, tries - 1);
}
