import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { toNotFound } from './not-found.ts';
import type { Lock, LockRequest } from './lock.ts';
import { locksPartition, readLocks, toLock } from './lock.ts';
import { requireRole } from './role.ts';

/** Returns the locks in force. Needs the role `Lock.Manage`, as all of this does. */
export async function listLocks(broker: Broker, caller: Caller): Promise<readonly Lock[]> {
  requireRole(caller, 'Lock.Manage');
  return readLocks(broker);
}

/** Returns one lock, or fails with `not-found`. */
export async function readLock(broker: Broker, caller: Caller, id: string): Promise<Lock> {
  requireRole(caller, 'Lock.Manage');
  const row = await broker.state.find(locksPartition, id);
  if (row === undefined) throw toNotFound();
  return toLock(row);
}

/**
 * Records a lock and puts it into force: what is new is refused at once, what is live is cut at its gateway's next
 * lease. A lock with this id is replaced.
 */
export async function setLock(
  broker: Broker,
  caller: Caller,
  id: string,
  request: LockRequest,
): Promise<Lock> {
  requireRole(caller, 'Lock.Manage');
  const setBy = { id: caller.id, name: caller.name };
  const lock = { ...request, id, setBy, setAt: broker.now().toISOString() };
  await broker.audit.append([{ type: 'lock.set', lock }]);
  await broker.state.put([
    { partition: locksPartition, row: id, values: { b: JSON.stringify(lock) } },
  ]);
  return lock;
}

/** Lifts a lock; one that is not there is no error. What it has cut stays cut. */
export async function liftLock(broker: Broker, caller: Caller, id: string): Promise<void> {
  requireRole(caller, 'Lock.Manage');
  if ((await broker.state.find(locksPartition, id)) === undefined) return;
  const by = { id: caller.id, name: caller.name };
  await broker.audit.append([{ type: 'lock.lifted', lock: id, by }]);
  await broker.state.remove(locksPartition, id);
}
