import * as z from 'zod';
import type { Actor } from './audit.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { StoredDelegation } from './delegation.ts';
import { findDelegation, replaceDelegation, toDelegationPartition } from './delegation.ts';
import { endSession } from './end-session.ts';
import { BrokerError } from './failure.ts';
import { isInvolved } from './list-delegations.ts';
import { toNotFound } from './not-found.ts';
import { hasRole } from './role.ts';
import { delegatedRange } from './session-index.ts';
import { findSession, hasEnded } from './session.ts';
import type { StoredRow } from './table.ts';

// Each try means that somebody else wrote the row in between, so a handful is plenty.
const maxTries = 10;

// Those of a delegation without a number of sessions can be many, and each end takes several calls.
const endedAtOnce = 20;

// The process that gave an order carries it out within seconds; after this long it has died.
const orderMilliseconds = 60_000;

const ordersPartition = 'revoking';

const actorShape = z.object({ id: z.string(), name: z.string() });

/**
 * Revokes a delegation for good: recorded first; then what is new under it is refused, and what is open is ended and cut
 * within one lease. Who gave it, who received it, and who has the role `Session.Terminate.All` may. A repetition ends what
 * the first call has left. Absent and invisible ones fail alike, with `not-found`.
 */
export async function revokeDelegation(broker: Broker, caller: Caller, id: string): Promise<void> {
  const stored = await findDelegation(broker, id);
  if (stored === undefined) throw toNotFound();
  if (!isInvolved(stored.delegation, caller) && !hasRole(caller, 'Session.Terminate.All'))
    throw toNotFound();
  const by = { id: caller.id, name: caller.name };
  const order = { by: JSON.stringify(by), at: broker.now().getTime() };
  await broker.state.put([{ partition: ordersPartition, row: id, values: order }]);
  await carryOut(broker, stored, by);
}

/** Carries out the revocations that a process has left which died; one that fails is logged, and tried again later. */
export async function finishRevocations(broker: Broker): Promise<void> {
  const rows = await broker.state.list(ordersPartition);
  const before = broker.now().getTime() - orderMilliseconds;
  const left = rows.filter(({ values }) => Number(values['at']) < before);
  for (const row of left) {
    try {
      await finishRevocation(broker, row);
    } catch (failure) {
      broker.log('revocation.unfinished', { delegation: row.row, failure });
    }
  }
}

async function finishRevocation(broker: Broker, { row: id, values }: StoredRow): Promise<void> {
  const by = actorShape.parse(JSON.parse(String(values['by'])));
  const stored = await findDelegation(broker, id);
  if (stored !== undefined) await carryOut(broker, stored, by);
}

async function carryOut(broker: Broker, stored: StoredDelegation, by: Actor): Promise<void> {
  const { id } = stored.delegation;
  if (stored.delegation.state !== 'revoked') {
    await broker.audit.append([{ type: 'delegation.revoked', delegation: id, by }]);
    await markRevoked(broker, stored, by);
  }
  await endDelegated(broker, id, by);
  await broker.state.remove(ordersPartition, id);
}

async function markRevoked(broker: Broker, stored: StoredDelegation, by: Actor): Promise<void> {
  const revoked = { by, at: broker.now().toISOString() };
  let current: StoredDelegation | undefined = stored;
  for (let tries = 0; tries < maxTries; tries += 1) {
    if (current === undefined || current.delegation.state === 'revoked') return;
    const { delegation, etag }: StoredDelegation = current;
    const changed = { delegation: { ...delegation, state: 'revoked' as const, revoked }, etag };
    if ((await replaceDelegation(broker, changed)) === 'replaced') return;
    current = await findDelegation(broker, delegation.id);
  }
  throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
}

// After the mark: a session that is not in the list yet finds the mark when its ticket is redeemed.
async function endDelegated(broker: Broker, id: string, by: Actor): Promise<void> {
  const rows = await broker.state.list(toDelegationPartition(id), delegatedRange);
  for (let start = 0; start < rows.length; start += endedAtOnce) {
    const group = rows.slice(start, start + endedAtOnce);
    await Promise.all(
      group.map(async ({ values }) => endOne(broker, String(values['session']), by)),
    );
  }
}

async function endOne(broker: Broker, id: string, by: Actor): Promise<void> {
  const stored = await findSession(broker, id);
  if (stored === undefined || hasEnded(stored.session)) return;
  await endSession(broker, stored.session, { endReason: 'delegation-revoked', by });
}
