import type { Actor } from './audit.ts';
import { toDay } from './audit-entry.ts';
import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';
import { releaseSlot, takeSlot } from './slot.ts';
import { toKey } from './table-key.ts';

const dayMilliseconds = 86_400_000;

/** The start of a VM: for whom, and for which session. */
export type Start = {
  readonly caller: Actor;
  /** The id of the target. */
  readonly target: string;
  /** The id of the session; it pays once a day, however often it asks. */
  readonly session: string;
};

type DayBudget = {
  readonly kind: 'caller-starts' | 'target-starts';
  readonly id: string;
  readonly limit: number;
  readonly partition: string;
};

/**
 * Takes one VM start of this UTC day from the caller's budget and one from the target's, or neither. Exact whichever
 * processes share the state. Fails with `rate-limited` and the time until midnight when one is used up; the first such
 * refusal of a budget and day is recorded before it is told.
 */
export async function takeStart(broker: Broker, start: Start): Promise<void> {
  const now = broker.now();
  const { limits, state } = broker;
  const caller = toBudget('caller-starts', start.caller.id, limits.startsPerCallerDay, now);
  const target = toBudget('target-starts', start.target, limits.startsPerTargetDay, now);
  if (!(await takePlace(broker, caller, start.session, now)))
    throw await refuse(broker, caller, start, now);
  if (await takePlace(broker, target, start.session, now)) return;
  await releaseSlot(state, caller.partition, start.session);
  throw await refuse(broker, target, start, now);
}

function toBudget(kind: DayBudget['kind'], id: string, limit: number, now: Date): DayBudget {
  return { kind, id, limit, partition: `${kind}|${toKey(id)}|${toDay(now)}` };
}

async function takePlace(
  { state }: Broker,
  { partition, limit }: DayBudget,
  session: string,
  now: Date,
): Promise<boolean> {
  const wanted = { partition, holder: session, about: session, limit, isRepeated: true };
  // The same time all day: two calls for one session at once then write one row, and no place counts as abandoned.
  const day = new Date(Math.floor(now.getTime() / dayMilliseconds) * dayMilliseconds);
  return takeSlot(state, wanted, day, async () => true);
}

async function refuse(
  broker: Broker,
  budget: DayBudget,
  start: Start,
  now: Date,
): Promise<BrokerError> {
  await recordOnce(broker, budget, start);
  const untilMidnight = dayMilliseconds - (now.getTime() % dayMilliseconds);
  const number = String(budget.limit);
  const message =
    budget.kind === 'caller-starts'
      ? `You may have ${number} VMs started a day. The day ends at midnight UTC.`
      : `This target may be started ${number} times a day. The day ends at midnight UTC.`;
  return new BrokerError('rate-limited', message, {
    retryAfterSeconds: Math.ceil(untilMidnight / 1000),
  });
}

async function recordOnce(
  { audit, log, newId, state }: Broker,
  { kind, id, partition }: DayBudget,
  { caller, target }: Start,
): Promise<void> {
  const row = 'refused';
  if ((await state.insert({ partition, row, values: { nonce: newId() } })) === 'exists') return;
  const about = kind === 'target-starts' ? { target } : {};
  try {
    await audit.append([{ type: 'budget.exceeded', budget: kind, caller, ...about }]);
  } catch (failure) {
    // The next refusal has to record it then.
    await state.remove(partition, row);
    throw failure;
  }
  log('rate-limited', { budget: kind, id });
}
