import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget, withinTargetBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { decideAgain } from './decide-again.ts';
import { toDecisionInput } from './decide.ts';
import { BrokerError } from './failure.ts';
import { prepareTicket } from './issue-ticket.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import type { PreparedTicket } from './issue-ticket.ts';
import { toNotFound } from './not-found.ts';
import { findDialableHost } from './dialable-host.ts';
import { requireRole } from './role.ts';
import { findSameTarget, toChanged } from './same-target.ts';
import type { TicketRequest } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession, findStartSeconds, isOfMaker, requireOpen } from './session.ts';
import type { Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';
import { actAgain } from './use-delegation.ts';

/**
 * Makes one more ticket of an open session of the caller. Policy decides again on the target as it is now; a target
 * that has become another one since the session was granted is refused with `target-changed`.
 */
export async function createTicket(
  broker: Broker,
  caller: Caller,
  id: string,
  request: TicketRequest & { readonly clientIp?: string },
): Promise<PreparedTicket['view']> {
  requireRole(caller, 'Session.Request');
  const session = await withinCallerBudget(broker, caller, async () =>
    findOwnSession(broker, caller, id),
  );
  requireOpen(session, broker.now());
  const acting = await recordRefusal(broker, session, async () =>
    actAgain(broker, caller, session),
  );
  const locks = await withinTargetBudget(broker, caller, session.target.id, async () =>
    readLocks(broker),
  );
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await findSameTarget(broker, session, signal);
  const decided = await decideOnTarget(broker, acting, session, { target, ...request });
  const host = await recordRefusal(broker, decided.session, async () => {
    requireUnlocked(locks, toLockable(broker, id, session.input));
    return findSameHost(broker, decided, signal);
  });
  const ticket = await prepareTicket(broker, { ...decided.session, host }, request.form);
  await Promise.all([
    broker.audit.append([decided.event, ticket.event]),
    ...ticket.rows.map(async (row) => broker.state.insert(row)),
  ]);
  return ticket.view;
}

// Absent and somebody else's fail alike.
async function findOwnSession(broker: Broker, caller: Caller, id: string): Promise<Session> {
  const stored = await findSession(broker, id);
  if (stored === undefined || !isOfMaker(stored.session, caller)) throw toNotFound();
  return stored.session;
}

type Decided = {
  readonly session: Session;
  readonly target: Target;
  readonly event: AuditEvent;
};

async function decideOnTarget(
  broker: Broker,
  caller: Caller,
  session: Session,
  { target, clientIp }: { readonly target: Target | undefined; readonly clientIp?: string },
): Promise<Decided> {
  if (target === undefined) {
    await broker.audit.append([toRefused(session, 'target-changed')]);
    throw toChanged();
  }
  const { protocol, port, input: first } = session;
  const wish = { ...first.context, protocol, port };
  const circumstance = { now: broker.now(), ...(clientIp === undefined ? {} : { clientIp }) };
  const input = toDecisionInput(caller, target, wish, circumstance);
  const sentence = 'Policy no longer permits this session.';
  const judged = { session: session.id, input, sentence, caller };
  const { terms, digest, event } = await decideAgain(broker, judged);
  const deadline = toDeadline(session, terms.maxDurationSeconds);
  return { session: { ...session, terms, digest, deadline }, target, event };
}

// A later decision may shorten a session, never lengthen it.
function toDeadline(session: Session, maxDurationSeconds: number | undefined): string {
  if (maxDurationSeconds === undefined) return session.deadline;
  const latest = (findStartSeconds(session) + maxDurationSeconds) * 1000;
  return new Date(Math.min(latest, new Date(session.deadline).getTime())).toISOString();
}

async function findSameHost(
  broker: Broker,
  { session, target }: Decided,
  signal: AbortSignal,
): Promise<string> {
  requireOpen(session, broker.now());
  const host = await findDialableHost(broker, target, signal);
  if (host !== session.host) throw toChanged();
  return host;
}

async function recordRefusal<T>(
  broker: Broker,
  session: Session,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (failure instanceof BrokerError)
      await broker.audit.append([toRefused(session, failure.code)]);
    throw failure;
  }
}

function toRefused(session: Session, code: BrokerError['code']): AuditEvent {
  const caller: Actor = session.caller;
  return { type: 'session.refused', session: session.id, caller, code };
}
