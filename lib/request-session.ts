import type { Actor, AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { withinCallerBudget, withinTargetBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import type { Circumstance } from './decide.ts';
import { readGroups, toDecisionInput } from './decide.ts';
import { BrokerError } from './failure.ts';
import type { Grant } from './grant-session.ts';
import { findDialableHost, isDown } from './dialable-host.ts';
import { digestRequest, reserveSession, storeSession, toSession } from './grant-session.ts';
import { holdSession, toPending, toPreparing } from './hold-session.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { prepareSession } from './prepare-session.ts';
import { refuseStart } from './prepare-target.ts';
import { requireRole } from './role.ts';
import type { SessionRequest } from './session-request.ts';
import type { SessionView } from './session-view.ts';
import type { Session } from './session.ts';
import { findSession, isOfMaker } from './session.ts';
import type { Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';
import { parseTargetReference } from './target-reference.ts';
import { takeStart } from './start-budget.ts';
import { holdTarget } from './started-target.ts';
import { findApprovalNeeds, refuseDecision } from './unmet.ts';
import { actUnder, isCovered, toActing } from './use-delegation.ts';
import { toSessionView } from './view-session.ts';

// A target that does not exist is refused in the same words as one that policy hides.
const denial =
  'No policy permits this caller this use of this target now, or there is no such target.';

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
  const asked = await findAsked(broker, caller, wanted, request);
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await recordRefusal(broker, asked, async () =>
    broker.targets.find(reference, signal),
  );
  const found = await decideRequest(broker, asked, target);
  const locks = await withinTargetBudget(broker, caller, found.target.id, async () =>
    readLocks(broker),
  );
  const decided = await recordRefusal(broker, asked, async () => {
    // After policy, so that a lock on a target tells nothing to those who may not reach it.
    requireUnlocked(locks, toLockable(broker, request.id, found.input));
    return { ...found, target: await holdTarget(broker, found.target) };
  });
  const held = toHeld(broker, asked, decided);
  if (held?.state === 'preparing') await requireStart(broker, asked, decided);
  if (held !== undefined) return holdRequest(broker, asked, held, decided.decision);
  const host = await recordRefusal(broker, asked, async () =>
    findDialableHost(broker, decided.target, signal),
  );
  return grantSession(broker, asked, { ...decided, host });
}

/** Returns what is asked and by whom: by a delegation that is named, in the name of who gave it. */
async function findAsked(
  broker: Broker,
  caller: Caller,
  wanted: SessionRequest,
  request: { readonly id: string; readonly clientIp?: string },
): Promise<Asked> {
  const asked = toAsked(broker, caller, wanted, request);
  const { delegation: id, protocol } = wanted;
  if (id === undefined) return asked;
  const named = { id, service: { protocol, port: readPort(wanted) } };
  const acting = await recordRefusal(broker, asked, async () => actUnder(broker, caller, named));
  return toAsked(broker, acting, wanted, request);
}

function toAsked(
  broker: Broker,
  caller: Caller,
  wanted: SessionRequest,
  { id, clientIp }: { readonly id: string; readonly clientIp?: string },
): Asked {
  const actor = { id: caller.id, name: caller.name };
  const { delegation } = caller;
  const { onBehalfOf } = toActing(caller);
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
      ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      ...(delegation === undefined ? {} : { delegation: delegation.id }),
      app: caller.app,
      request: wanted,
      ...ip,
    },
  };
}

type Facts = Pick<Grant, 'target' | 'input' | 'decision'>;

async function decideRequest(
  broker: Broker,
  asked: Asked,
  target: Target | undefined,
): Promise<Facts> {
  const { id, caller, wanted, circumstance, requested } = asked;
  // One that the delegation leaves out is refused as one that is not there.
  if (target === undefined || !isCovered(caller, target.id)) {
    const code = target === undefined ? 'not-found' : 'access-denied';
    await broker.audit.append([requested, toRefused(asked, code)]);
    throw new BrokerError('access-denied', denial, { advice: [] });
  }
  const wish = {
    ...wanted,
    port: readPort(wanted),
    durationSeconds: Math.min(wanted.durationSeconds, broker.limits.maxSessionSeconds),
  };
  const input = toDecisionInput(caller, target, wish, circumstance);
  const decision = broker.policy.decide(input);
  const isMetByOthers =
    decision.outcome === 'needs' && findApprovalNeeds(decision.needs) !== undefined;
  if (decision.outcome === 'allow' || isMetByOthers) return { decision, input, target };
  const judged = { session: id, input, sentence: denial, caller };
  return refuseDecision(broker, judged, decision, [requested]);
}

function readPort(wanted: SessionRequest): number {
  const port =
    wanted.protocol === 'tcp' ? wanted.port : (wanted.port ?? defaultPorts[wanted.protocol]);
  if (port === undefined)
    throw new BrokerError('request-invalid', 'Give the port: tcp has no default.');
  return port;
}

/** Returns the session that this request makes where it has to wait for something; undefined where it has not. */
function toHeld(broker: Broker, asked: Asked, facts: Facts): Session | undefined {
  const grant = toGrant(asked, facts);
  const { decision, target } = facts;
  if (decision.outcome === 'needs')
    return toPending(broker, grant, findApprovalNeeds(decision.needs) ?? []);
  return isDown(target) && asked.wanted.start === true ? toPreparing(broker, grant) : undefined;
}

/** Fails when the target cannot be started for the caller, or not today. */
async function requireStart(broker: Broker, asked: Asked, { input, target }: Facts): Promise<void> {
  const { id: session, actor, caller, requested } = asked;
  const refused = refuseStart(broker, input);
  const sentence = `The target is ${target.power}, and policy does not let you have it started.`;
  if (refused !== undefined) {
    const judged = { session, input: refused.input, sentence, caller };
    await refuseDecision(broker, judged, refused.decision, [requested]);
  }
  await recordRefusal(broker, asked, async () => {
    if (broker.power === undefined || target.armId === undefined)
      throw new BrokerError(
        'target-stopped',
        `The target is ${target.power}, and the broker cannot start it. Start it, then ask again.`,
      );
    await takeStart(broker, { caller: actor, target: target.id, session });
  });
}

async function holdRequest(
  broker: Broker,
  asked: Asked,
  session: Session,
  decision: Facts['decision'],
): Promise<Requested> {
  const { id, requested } = asked;
  const { input, policies, digest, terms } = session;
  const facts = { session: id, policies, digest, input, terms };
  const decided: AuditEvent =
    decision.outcome === 'needs'
      ? { type: 'session.needs', ...facts, needs: decision.needs }
      : { type: 'session.allowed', ...facts };
  await recordRefusal(broker, asked, async () => reserveSession(broker, session));
  const held = await holdSession(broker, session, [requested, decided]);
  if (held === undefined) return settleRace(broker, asked);
  const stepped = await prepareSession(broker, held.id);
  return { view: toSessionView(broker, stepped ?? held), isNew: true };
}

function toGrant({ id, actor, caller, wanted, circumstance }: Asked, facts: Facts): Grant {
  const acting = toActing(caller);
  return { id, caller: actor, acting, wanted, createdAt: circumstance.now, ...facts };
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

async function grantSession(
  broker: Broker,
  asked: Asked,
  facts: Facts & { readonly host: string },
): Promise<Requested> {
  const session = toSession(broker, { ...toGrant(asked, facts), host: facts.host });
  await recordRefusal(broker, asked, async () => reserveSession(broker, session));
  const { input, policies, digest, terms } = session;
  const allowed = { session: asked.id, policies, digest, input, terms };
  const events = [asked.requested, { type: 'session.allowed', ...allowed } as const];
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
  if (!isOfMaker(session, caller) || session.requestDigest !== digestRequest(wanted))
    throw new BrokerError('session-conflict', 'Choose a new id for a new session.');
  return { view: toSessionView(broker, session), isNew: false };
}
