import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget, withinTargetBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import type { Circumstance } from './decide.ts';
import { readGroups, toDecisionInput } from './decide.ts';
import { BrokerError } from './failure.ts';
import type { Grant } from './grant-session.ts';
import { findDialableHost } from './dialable-host.ts';
import { digestRequest, reserveSession, storeSession, toSession } from './grant-session.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { requireRole } from './role.ts';
import type { SessionRequest } from './session-request.ts';
import type { SessionView } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession } from './session.ts';
import type { Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';
import { parseTargetReference } from './target-reference.ts';
import { toSessionView } from './view-session.ts';

const defaultPorts = { ssh: 22, rdp: 3389 } as const;

/** What a caller gets for a request: the session, and whether this call made it. */
export type Requested = { readonly view: SessionView; readonly isNew: boolean };

type Asked = {
  readonly id: string;
  readonly caller: Caller;
  readonly actor: Actor;
  readonly wanted: SessionRequest;
  readonly circumstance: Circumstance;
  readonly requested: AuditEvent;
};

/**
 * Requests a session: decides, records, and only then hands out the first ticket. An identical repetition returns the
 * session that it made, without a ticket. Every refusal of policy or target is recorded before it is told.
 */
export async function requestSession(
  broker: Broker,
  caller: Caller,
  wanted: SessionRequest,
  request: { readonly id: string; readonly clientIp?: string },
): Promise<Requested> {
  requireRole(caller, 'Session.Request');
  readGroups(caller);
  const reference = parseTargetReference(wanted.target);
  const known = await withinCallerBudget(broker, caller, async () =>
    findSession(broker, request.id),
  );
  if (known !== undefined) return repeatSession(broker, caller, wanted, known.session);
  const asked = toAsked(broker, caller, wanted, request);
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await recordRefusal(broker, asked, async () =>
    broker.targets.find(reference, signal),
  );
  const decided = await decideRequest(broker, asked, target);
  const locks = await withinTargetBudget(broker, caller, decided.target.id, async () =>
    readLocks(broker),
  );
  const host = await recordRefusal(broker, asked, async () => {
    // After policy, so that a lock on a target tells nothing to those who may not reach it.
    requireUnlocked(locks, toLockable(broker, request.id, decided.input));
    return findDialableHost(broker, decided.target, signal);
  });
  return grantSession(broker, asked, { ...decided, host });
}

function toAsked(
  broker: Broker,
  caller: Caller,
  wanted: SessionRequest,
  { id, clientIp }: { readonly id: string; readonly clientIp?: string },
): Asked {
  const actor = { id: caller.id, name: caller.name };
  const ip = clientIp === undefined ? {} : { clientIp };
  return {
    id,
    caller,
    actor,
    wanted,
    circumstance: { now: broker.now(), ...ip },
    requested: {
      type: 'session.requested',
      session: id,
      caller: actor,
      app: caller.app,
      request: wanted,
      ...ip,
    },
  };
}

type Facts = Pick<Grant, 'target' | 'host' | 'input' | 'decision'>;

async function decideRequest(
  broker: Broker,
  asked: Asked,
  target: Target | undefined,
): Promise<Omit<Facts, 'host'>> {
  const { id, caller, wanted, circumstance, requested } = asked;
  if (target === undefined) {
    await broker.audit.append([requested, toRefused(asked, 'not-found')]);
    throw toDenial([]);
  }
  const wish = {
    ...wanted,
    port: readPort(wanted),
    durationSeconds: Math.min(wanted.durationSeconds, broker.limits.maxSessionSeconds),
  };
  const input = toDecisionInput(caller, target, wish, circumstance);
  const decision = broker.policy.decide(input);
  if (decision.outcome === 'deny') {
    const { policies, digest, advice } = decision;
    const denied = { session: id, policies, digest, input, advice };
    await broker.audit.append([requested, { type: 'session.denied', ...denied }]);
    throw toDenial(advice);
  }
  return { decision, input, target };
}

function readPort(wanted: SessionRequest): number {
  const port =
    wanted.protocol === 'tcp' ? wanted.port : (wanted.port ?? defaultPorts[wanted.protocol]);
  if (port === undefined)
    throw new BrokerError('request-invalid', 'Give the port: tcp has no default.');
  return port;
}

// A target that does not exist is refused in the same words as one that policy hides.
function toDenial(advice: readonly string[]): BrokerError {
  return new BrokerError(
    'access-denied',
    'No policy permits this caller this use of this target now, or there is no such target.',
    { advice },
  );
}

async function recordRefusal<T>(broker: Broker, asked: Asked, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (failure instanceof BrokerError)
      await broker.audit.append([asked.requested, toRefused(asked, failure.code)]);
    throw failure;
  }
}

function toRefused(asked: Asked, code: BrokerError['code']): AuditEvent {
  return { type: 'session.refused', session: asked.id, caller: asked.actor, code };
}

async function grantSession(broker: Broker, asked: Asked, facts: Facts): Promise<Requested> {
  const { id, actor, wanted, circumstance, requested } = asked;
  const grant = { id, caller: actor, wanted, createdAt: circumstance.now, ...facts };
  const session = toSession(broker, grant);
  await recordRefusal(broker, asked, async () => reserveSession(broker, session));
  const { policies, digest, terms } = grant.decision;
  const allowed = { session: id, policies, digest, input: grant.input, terms };
  const events = [requested, { type: 'session.allowed', ...allowed } as const];
  const ticket = await storeSession(broker, session, events);
  if (ticket === undefined) return settleRace(broker, asked);
  return { view: { ...toSessionView(broker, session), ticket }, isNew: true };
}

// Another request with the same id was stored between our look and our insert. Our ticket is not handed out.
async function settleRace(broker: Broker, asked: Asked): Promise<Requested> {
  const winner = await findSession(broker, asked.id);
  if (winner === undefined)
    throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
  await broker.audit.append([{ type: 'session.repeated', session: asked.id, caller: asked.actor }]);
  return repeatSession(broker, asked.caller, asked.wanted, winner.session);
}

async function repeatSession(
  broker: Broker,
  caller: Caller,
  wanted: SessionRequest,
  session: Session,
): Promise<Requested> {
  if (session.caller.id !== caller.id || session.requestDigest !== digestRequest(wanted))
    throw new BrokerError('session-conflict', 'Choose a new id for a new session.');
  return { view: toSessionView(broker, session), isNew: false };
}
