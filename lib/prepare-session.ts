import type { Broker } from './broker.ts';
import { requireRecordable, toTargetFacts } from './decide.ts';
import type { Decision, DecisionInput } from './decision.ts';
import { endSession } from './end-session.ts';
import { BrokerError } from './failure.ts';
import { capDeadline, findAllowedSeconds, toDeadline } from './grant-session.ts';
import { findLock, readLocks, toLockable } from './lock.ts';
import { type Preparation, prepareTarget } from './prepare-target.ts';
import { findSameTarget } from './same-target.ts';
import { preparingPartition, toDueRow, toWaitingRows } from './session-index.ts';
import type { EndReason } from './session-view.ts';
import type { Session, StoredSession } from './session.ts';
import { findSession, replaceSession } from './session.ts';
import type { Target } from './target.ts';
import { holdTarget } from './started-target.ts';
import { targetsMilliseconds } from './target.ts';
import type { StoredRow } from './table.ts';
import { type Refusing, toRefusingEvent } from './unmet.ts';
import { isRevoked } from './use-delegation.ts';

// Whoever waits asks every few seconds, and each step costs calls to the source of targets.
const stepMilliseconds = 4_000;

// A process that began a step and was killed leaves it to others after this long, which is more than a step takes: two at
// once would each outdate what the other is about to write.
const claimMilliseconds = 20_000;

const sessionsPerRun = 500;

// A slow source of targets must not hold up the last of them past its deadline.
const sessionsAtOnce = 20;

/**
 * Takes the next step to make a session ready, where it waits for one: looks at its target again, decides again, and
 * makes it ready or ends it. Returns the session as it then is; undefined when there is none. A step that fails is
 * logged, and taken again later.
 */
export async function prepareSession(broker: Broker, id: string): Promise<Session | undefined> {
  const stored = await findSession(broker, id);
  if (stored === undefined || stored.session.state !== 'preparing') return stored?.session;
  const claimed = await claimStep(broker, stored);
  if (claimed === undefined) return stored.session;
  try {
    return await takeStep(broker, claimed);
  } catch (failure) {
    if (!(failure instanceof BrokerError)) throw failure;
    broker.log('session.not-prepared', { session: id, failure });
    return isFinal(failure) ? endFailed(broker, claimed.session, failure) : claimed.session;
  }
}

/** Takes the next step of every session that is being made ready; what fails is logged. Returns how many rows there were. */
export async function prepareWaiting(broker: Broker): Promise<number> {
  const rows = await broker.state.list(preparingPartition, { limit: sessionsPerRun });
  for (let start = 0; start < rows.length; start += sessionsAtOnce)
    await Promise.all(
      rows.slice(start, start + sessionsAtOnce).map(async (row) => prepareListed(broker, row)),
    );
  return rows.length;
}

async function prepareListed(broker: Broker, listed: StoredRow): Promise<void> {
  const { partition, row, values } = listed;
  try {
    const session = await prepareSession(broker, String(values['session']));
    if (isOutdated(broker, listed, session)) await broker.state.remove(partition, row);
  } catch (failure) {
    broker.log('session.not-prepared', { session: values['session'], failure });
  }
}

// The row was there before the session was, or was being made ready, and a process may have died in between.
function isOutdated(
  broker: Broker,
  { row, values }: StoredRow,
  session: Session | undefined,
): boolean {
  if (session?.nonce === row)
    return session.state !== 'pendingApproval' && session.state !== 'preparing';
  return Number(values['until']) <= broker.now().getTime();
}

// One process takes a step at a time: of several that read the same version, one writes it.
async function claimStep(
  broker: Broker,
  { session, etag }: StoredSession,
): Promise<StoredSession | undefined> {
  const now = broker.now().getTime();
  const { preparation } = session;
  if (preparation === undefined || now < preparation.nextStepAt) return undefined;
  const nextStepAt = now + claimMilliseconds;
  const claimed = { ...session, preparation: { ...preparation, nextStepAt } };
  if ((await replaceSession(broker, { session: claimed, etag })) === 'changed') return undefined;
  const stored = await findSession(broker, session.id);
  // Who has written since has ended it, and what has ended must not be written as ready: that is final.
  const isOurs = stored?.session.preparation?.nextStepAt === nextStepAt;
  return isOurs && stored.session.state === 'preparing' ? stored : undefined;
}

async function takeStep(broker: Broker, stored: StoredSession): Promise<Session> {
  const { session } = stored;
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const [target, obstacle] = await Promise.all([
    findSameTarget(broker, session, signal),
    findObstacle(broker, session),
  ]);
  if (obstacle !== undefined) return endSession(broker, session, { endReason: obstacle });
  if (target === undefined) return endSession(broker, session, { endReason: 'target-changed' });
  const input = toInputNow(broker, session, target);
  const decision = broker.policy.decide(input);
  if (decision.outcome !== 'allow') return endRefused(broker, session, { input, decision });
  const { preparation = { mayStart: false, nextStepAt: 0 } } = session;
  const held = await holdTarget(broker, target);
  const wanted = { session, preparation, target: held, input };
  const prepared = await prepareTarget(broker, wanted, signal);
  if (prepared.outcome === 'ready')
    return makeReady(broker, stored, { input, decision, host: prepared.host });
  if (prepared.outcome === 'waiting') return storePreparation(broker, stored, prepared.preparation);
  if (prepared.outcome === 'refused') return endRefused(broker, session, prepared);
  return endSession(broker, session, { endReason: 'unreachable' });
}

async function findObstacle(broker: Broker, session: Session): Promise<EndReason | undefined> {
  const [locks, isOver] = await Promise.all([readLocks(broker), isRevoked(broker, session)]);
  if (isOver) return 'delegation-revoked';
  const lock = findLock(locks, toLockable(broker, session.id, session.input));
  return lock === undefined ? undefined : 'locked';
}

async function endRefused(
  broker: Broker,
  session: Session,
  { input, decision }: { readonly input: DecisionInput; readonly decision: Refusing },
): Promise<Session> {
  const event = toRefusingEvent({ session: session.id, input }, decision);
  return endSession(broker, session, { endReason: 'policy', events: [event] });
}

// Whoever has written since has ended the session.
async function storePreparation(
  broker: Broker,
  { session, etag }: StoredSession,
  preparation: Preparation,
): Promise<Session> {
  const nextStepAt = broker.now().getTime() + stepMilliseconds;
  const waiting = { ...session, preparation: { ...preparation, nextStepAt } };
  const outcome = await replaceSession(broker, { session: waiting, etag });
  return outcome === 'replaced'
    ? waiting
    : ((await findSession(broker, session.id))?.session ?? session);
}

const finalCodes: ReadonlySet<BrokerError['code']> = new Set([
  'start-failed',
  'start-forbidden',
  'rate-limited',
]);

// What fails for now says when to ask again; of a used-up budget that is tomorrow.
function isFinal({ code, details }: BrokerError): boolean {
  const isForNow = code === 'start-failed' && details.retryAfterSeconds !== undefined;
  return finalCodes.has(code) && !isForNow;
}

async function endFailed(
  broker: Broker,
  session: Session,
  { code }: BrokerError,
): Promise<Session> {
  const { id, caller } = session;
  const events = [{ type: 'session.refused', session: id, caller, code } as const];
  return endSession(broker, session, { endReason: 'start-failed', events });
}

// The caller is not here: what was known of them when they asked still stands, and ends with the approval.
function toInputNow(broker: Broker, { input }: Session, target: Target): DecisionInput {
  const now = Math.floor(broker.now().getTime() / 1000);
  const context = { ...input.context, now };
  return requireRecordable({ ...input, target: toTargetFacts(target), context });
}

type Readiness = {
  readonly input: DecisionInput;
  readonly decision: Extract<Decision, { readonly outcome: 'allow' }>;
  readonly host: string;
};

/** Records that the session is ready, and makes it so. Its time runs from now. */
async function makeReady(
  broker: Broker,
  { session, etag }: StoredSession,
  { input, decision, host }: Readiness,
): Promise<Session> {
  // The looks at target and policy took their time, and nothing is to be recorded as ready after its end.
  const latest = await findSession(broker, session.id);
  if (latest?.etag !== etag) return latest?.session ?? session;
  const now = broker.now();
  const { policies, digest, terms } = decision;
  const { preparation: _, ...kept } = session;
  const ready: Session = {
    ...kept,
    state: 'ready',
    host,
    startedAt: now.toISOString(),
    deadline: capDeadline(input, toDeadline(now, findAllowedSeconds(broker, input, terms))),
    terms,
    policies: [...policies],
    digest,
    input,
  };
  const { id, caller, deadline } = ready;
  await broker.audit.append([
    { type: 'session.allowed', session: id, policies, digest, input, terms },
    { type: 'session.ready', session: id, caller, deadline },
  ]);
  // The new place in the list first: a session in two places ends at its deadline, one in none never does.
  await broker.state.insert(toDueRow(ready));
  // Whoever has written since has ended it.
  if ((await replaceSession(broker, { session: ready, etag })) === 'changed')
    return (await findSession(broker, id))?.session ?? session;
  await Promise.all(
    toWaitingRows(session).map(async ({ partition, row }) => broker.state.remove(partition, row)),
  );
  return ready;
}
