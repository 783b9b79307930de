import type { Broker } from './broker.ts';
import { readLiveSessions } from './live-sessions.ts';
import type { Power } from './power.ts';
import type { Started } from './started-target.ts';
import {
  isBeingDeallocated,
  replaceStarted,
  startedPartition,
  toStarted,
} from './started-target.ts';
import type { StoredRow } from './table.ts';
import type { PowerState, Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';

// To know that nobody uses a target, all live sessions are read.
const everyMilliseconds = 60_000;

// Half of the time after which a target may be taken from whoever began to deallocate it.
const patienceMilliseconds = 30_000;

const place = { partition: 'quiet', row: 'last' } as const;

const goneStates: ReadonlySet<PowerState> = new Set(['deallocating', 'deallocated']);

// A VM that was shut down from within is still paid for. One that changes or does not tell is looked at again.
const paidStates: ReadonlySet<PowerState> = new Set(['running', 'stopped']);

type PowerBroker = Broker & { readonly power: Power };

/**
 * Deallocates the targets that were started for sessions and have had none for as long as the operator has set; no
 * others, ever. Does its work once a minute, in one process of several. Returns how many it deallocated.
 */
export async function deallocateQuiet(broker: Broker): Promise<number> {
  const { limits, power, state } = broker;
  if (power === undefined) return 0;
  // Before the sessions are read: whoever makes one after that changes the row, or makes it in time to be seen.
  const rows = (await state.list(startedPartition)).filter(
    ({ values }) => values['state'] !== 'over',
  );
  if (rows.length === 0 || !(await claimRun(broker))) return 0;
  const isOff = limits.deallocateAfterMinutes === 0;
  const busy = isOff ? new Set<string>() : await findBusy(broker);
  let deallocated = 0;
  for (const row of rows)
    await logFailure(broker, row, async () => {
      const started = toStarted(row);
      if (started === undefined) return;
      if (isOff) await finish(broker, row, started);
      else if (await settle({ ...broker, power }, row, started, busy.has(row.row)))
        deallocated += 1;
    });
  return deallocated;
}

async function claimRun(broker: Broker): Promise<boolean> {
  const at = broker.now().getTime();
  const last = await broker.state.find(place.partition, place.row);
  // An own value tells this process's row from one that another wrote in the same millisecond.
  const row = { ...place, values: { at, by: broker.newId() } };
  if (last === undefined) return (await broker.state.insert(row)) === 'inserted';
  if (at < Number(last.values['at']) + everyMilliseconds) return false;
  return (await broker.state.replace({ ...row, etag: last.etag })) === 'replaced';
}

async function findBusy(broker: Broker): Promise<ReadonlySet<string>> {
  const busy = new Set<string>();
  // What waits for an approval uses nothing yet, and may wait for days.
  for await (const { state, target } of readLiveSessions(broker))
    if (state !== 'pendingApproval') busy.add(target.id);
  return busy;
}

// What cannot be done now is tried again at the next run, and must not keep the rest from being done.
async function logFailure(broker: Broker, row: StoredRow, work: () => Promise<void>) {
  try {
    await work();
  } catch (failure) {
    broker.log('deallocate.failed', { target: row.row, failure });
  }
}

/** Brings the row of one target up to date, and tells whether that meant to deallocate it. */
async function settle(
  broker: PowerBroker,
  row: StoredRow,
  started: Started,
  isBusy: boolean,
): Promise<boolean> {
  const now = broker.now();
  if (isBeingDeallocated(started, now)) return false;
  const quietSince = isBusy ? 0 : started.quietSince || now.getTime();
  if (quietSince !== started.quietSince) {
    await replaceStarted(broker, row, { ...started, state: 'started', quietSince });
    return false;
  }
  const quietMilliseconds = broker.limits.deallocateAfterMinutes * 60_000;
  if (isBusy || now.getTime() < quietSince + quietMilliseconds) return false;
  const target = await findSame(broker, row, started);
  if (target !== undefined) return deallocate(broker, row, started, target);
  await finish(broker, row, started);
  return false;
}

/** Returns the target as it is now; undefined when there is nothing to deallocate any more. */
async function findSame(
  { targets }: Broker,
  { row: id }: StoredRow,
  { armId }: Started,
): Promise<Target | undefined> {
  const signal = AbortSignal.timeout(targetsMilliseconds);
  const target = await targets.find({ kind: 'arm', armId }, signal);
  // A VM that was made anew under the same name is none that was started.
  return target?.id === id && !goneStates.has(target.power) ? target : undefined;
}

async function finish(broker: Broker, row: StoredRow, started: Started): Promise<void> {
  await replaceStarted(broker, row, { ...started, state: 'over' });
}

async function deallocate(
  broker: PowerBroker,
  row: StoredRow,
  started: Started,
  target: Target,
): Promise<boolean> {
  if (!paidStates.has(target.power)) return false;
  const claimedAt = broker.now().getTime();
  if (started.quietSince < started.claimedAt) {
    // Nothing came of it in this quiet time. Another one begins, so that a missing right is not an entry every minute.
    broker.log('deallocate.without-effect', { target: target.id });
    await replaceStarted(broker, row, { ...started, state: 'started', quietSince: claimedAt });
    return false;
  }
  const claim: Started = { ...started, state: 'deallocating', claimedAt };
  // Whoever has made a session meanwhile has changed the row; whoever makes one from now on starts the target again.
  if ((await replaceStarted(broker, row, claim)) === 'changed') return false;
  // The claim stands, whatever becomes of this: ARM may have heard a call that failed, and shows late what it heard.
  await recordAndCall(broker, claim, target);
  return true;
}

async function recordAndCall(broker: PowerBroker, claim: Started, target: Target): Promise<void> {
  const { armId, claimedAt } = claim;
  const quietSince = new Date(claim.quietSince).toISOString();
  await broker.audit.append([{ type: 'target.deallocated', target: target.id, armId, quietSince }]);
  if (claimedAt + patienceMilliseconds <= broker.now().getTime())
    throw new Error('the record took longer than the claim is good for');
  await broker.power.deallocate(target, AbortSignal.timeout(targetsMilliseconds));
}
