import * as z from 'zod';
import type { Broker } from './broker.ts';
import { isDown } from './dialable-host.ts';
import { BrokerError } from './failure.ts';
import type { StoredRow } from './table.ts';
import type { Target } from './target.ts';

// A process that began to deallocate and was killed leaves the target to others after this long.
const claimMilliseconds = 60_000;

// Each try means that somebody else wrote the row in between, so a handful is plenty.
const maxTries = 10;

/** The partition of the targets that were started for sessions. A row is never removed: there are no more than targets. */
export const startedPartition = 'started';

const startedShape = z.object({
  /** `over`: the target has been deallocated, or is no longer the same. */
  state: z.enum(['started', 'deallocating', 'over']),
  armId: z.string(),
  /** The session for which it was started last. */
  session: z.string(),
  startedAt: z.iso.datetime(),
  /** Since when no session is known, in milliseconds since the epoch; 0 while there is one. */
  quietSince: z.int(),
  /** When it began to be deallocated, likewise. */
  claimedAt: z.int(),
});

/** What is known of a target that was started for a session. */
export type Started = z.infer<typeof startedShape>;

/**
 * Notes that a target is about to be started for a session, so that it can be deallocated one day, and tells whether it
 * may be: not while it is being deallocated. One that others have started is not noted.
 */
export async function noteStart(broker: Broker, target: Target, session: string): Promise<boolean> {
  const { armId } = target;
  if (isOff(broker) || armId === undefined) return true;
  const now = broker.now();
  const startedAt = now.toISOString();
  const started = {
    state: 'started',
    armId,
    session,
    startedAt,
    quietSince: 0,
    claimedAt: 0,
  } as const;
  return change(broker, target, (known) => {
    if (known !== undefined && isBeingDeallocated(known, now)) return false;
    return known === undefined && !isDown(target) ? true : started;
  });
}

/**
 * Keeps a target that runs from being deallocated while a session is made for it, and returns it. One that is being
 * deallocated at this moment is returned as `deallocating`, and has to be started again.
 */
export async function holdTarget(broker: Broker, target: Target): Promise<Target> {
  if (isOff(broker) || target.armId === undefined || isDown(target)) return target;
  const now = broker.now();
  const isHeld = await change(broker, target, (known) => {
    if (known === undefined) return true;
    if (isBeingDeallocated(known, now)) return false;
    const isUsed = known.state === 'started' && known.quietSince === 0;
    return isUsed ? true : { ...known, state: 'started', quietSince: 0 };
  });
  return isHeld ? target : { ...target, power: 'deallocating' };
}

/** Forgets the start of a target for a session that came to nothing: who starts it now is somebody else. */
export async function forgetStart(broker: Broker, target: Target, session: string): Promise<void> {
  if (isOff(broker)) return;
  await change(broker, target, (known) =>
    known?.state === 'started' && known.session === session ? { ...known, state: 'over' } : true,
  );
}

/** Whether a process is deallocating the target at this moment. */
export function isBeingDeallocated({ state, claimedAt }: Started, now: Date): boolean {
  return state === 'deallocating' && now.getTime() < claimedAt + claimMilliseconds;
}

/** Returns what the row of a target holds; undefined when that is over. */
export function toStarted({ values }: Pick<StoredRow, 'values'>): Started | undefined {
  const started = startedShape.parse(values);
  return started.state === 'over' ? undefined : started;
}

/** Writes what is known of a target anew, unless somebody else has written since the row was read. */
export async function replaceStarted(
  { state }: Broker,
  row: StoredRow,
  started: Started,
): Promise<'replaced' | 'changed'> {
  return state.replace({ ...row, values: started });
}

function isOff({ limits }: Broker): boolean {
  return limits.deallocateAfterMinutes === 0;
}

/** Lets the row of a target be decided on until nobody has written in between: what to write, or the answer. */
async function change(
  broker: Broker,
  { id }: Target,
  decide: (known: Started | undefined) => Started | boolean,
): Promise<boolean> {
  const { state } = broker;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const row = await state.find(startedPartition, id);
    const decided = decide(row === undefined ? undefined : toStarted(row));
    if (typeof decided === 'boolean') return decided;
    const isWritten =
      row === undefined
        ? (await state.insert({ partition: startedPartition, row: id, values: decided })) ===
          'inserted'
        : (await replaceStarted(broker, row, decided)) === 'replaced';
    if (isWritten) return true;
  }
  throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
}
