import type { Broker } from './broker.ts';
import { endOverdue, finishEnding, finishOrder, toOrder } from './end-session.ts';
import type { GatewayProcess } from './live-connection.ts';
import {
  findBytes,
  gatewaysPartition,
  recordClose,
  toBytesPartition,
  toGateway,
  toGatewayRow,
  toLive,
  toLivePartition,
} from './live-connection.ts';
import { prepareWaiting } from './prepare-session.ts';
import { deallocateQuiet } from './quiet-targets.ts';
import { finishRevocations } from './revoke-delegation.ts';
import { approvalSeconds } from './hold-session.ts';
import { dueBuckets, pendingPartition, toOldestFirst } from './session-index.ts';
import type { Session } from './session.ts';
import { findSession, hasEnded } from './session.ts';
import type { StoredRow } from './table.ts';

// A broker that began to clear up and was killed leaves the work to another after this long.
const claimMilliseconds = 60_000;

// The gateway measures its grace from its own last renewal, which the broker saw a little later or not at all.
const marginMilliseconds = 5_000;

const handlesPerRun = 200;

/** What one run did. */
export type Reconciled = { readonly sessions: number; readonly gateways: number };

/**
 * Makes the record true: ends sessions whose deadline has passed, closes the connections of gateways that stopped
 * renewing their leases, takes the next step of sessions that are being made ready, deallocates
 * what was started and is not used any more, comes to the end of revocations, and forgets spent handles and requests. Safe to run at
 * any time, in several processes, and again.
 */
export async function reconcile(broker: Broker): Promise<Reconciled> {
  const [sessions, gateways] = await Promise.all([
    endDueSessions(broker),
    closeLostGateways(broker),
    prepareWaiting(broker),
    deallocateQuiet(broker),
    finishRevocations(broker),
    forgetPending(broker),
    forgetHandles(broker),
  ]);
  return { sessions, gateways };
}

async function endDueSessions(broker: Broker): Promise<number> {
  const before = toOldestFirst(broker.now());
  const due = await Promise.all(
    dueBuckets.map(async (bucket) => broker.state.list(`due|${bucket}`, { before, limit: 200 })),
  );
  const rows = due.flat();
  for (const row of rows) await logFailure(broker, async () => endDueSession(broker, row));
  return rows.length;
}

async function endDueSession(broker: Broker, row: StoredRow): Promise<void> {
  const { partition, values } = row;
  const claimedAt = broker.now().getTime();
  if (claimedAt < Number(values['claimedAt'] ?? 0) + claimMilliseconds) return;
  // Two brokers see the same row; the one whose conditional write succeeds ends the session.
  const claimed = { ...row, values: { ...values, claimedAt } };
  if ((await broker.state.replace(claimed)) === 'changed') return;
  const stored = await findSession(broker, String(values['session']));
  if (stored !== undefined) await endDue(broker, stored.session, row);
  await broker.state.remove(partition, row.row);
}

async function endDue(broker: Broker, session: Session, row: StoredRow): Promise<void> {
  const order = toOrder(row);
  if (order !== undefined) await finishOrder(broker, session, order);
  else if (hasEnded(session))
    await finishEnding(broker, session.id, session.endReason ?? 'deadline');
  // An extension has left this row behind, and another one in its place.
  else if (new Date(session.deadline) <= broker.now()) await endOverdue(broker, session);
}

async function closeLostGateways(broker: Broker): Promise<number> {
  const { leaseSeconds, graceSeconds } = broker.limits;
  const patience = (leaseSeconds + graceSeconds) * 1000 + marginMilliseconds;
  const before = broker.now().getTime() - patience;
  const rows = await broker.state.list(gatewaysPartition);
  const lost = rows.filter((row) => toGateway(row).renewedAt < before);
  for (const row of lost) await logFailure(broker, async () => closeLostGateway(broker, row));
  return lost.length;
}

async function closeLostGateway(broker: Broker, row: StoredRow): Promise<void> {
  const gateway = toGateway(row);
  if (!(await claim(broker, row, gateway))) return;
  const { instance, pool } = gateway;
  const rows = await broker.state.list(toLivePartition(instance));
  for (const live of rows.map(toLive)) {
    const openedAt = new Date(live.openedAt).getTime();
    const durationMilliseconds = Math.max(0, gateway.renewedAt - openedAt);
    const bytes = await findBytes(broker, instance, live.connection);
    const ending = { reason: 'gateway-lost', ...bytes, durationMilliseconds } as const;
    await recordClose(broker, { instance, pool }, live, ending);
  }
  await forgetGateway(broker, instance, gateway.renewedAt);
}

// A gateway that came back while it was cleared up is none that was lost.
async function forgetGateway(broker: Broker, instance: string, renewedAt: number): Promise<void> {
  const row = await broker.state.find(gatewaysPartition, instance);
  if (row === undefined || toGateway(row).renewedAt !== renewedAt) return;
  if (0 < (await broker.state.list(toLivePartition(instance), { limit: 1 })).length) return;
  const bytes = await broker.state.list(toBytesPartition(instance));
  await Promise.all(
    bytes.map(async ({ partition, row: key }) => broker.state.remove(partition, key)),
  );
  await broker.state.remove(gatewaysPartition, instance);
}

// What cannot be done now is tried again at the next run, and must not keep the rest from being done.
async function logFailure(broker: Broker, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (failure) {
    broker.log('reconcile.failed', { failure });
  }
}

// Two brokers see the same lost gateway; the one whose conditional write succeeds clears up.
async function claim(broker: Broker, row: StoredRow, gateway: GatewayProcess): Promise<boolean> {
  const now = broker.now().getTime();
  const { clearingAt } = gateway;
  if (clearingAt !== undefined && now < clearingAt + claimMilliseconds) return false;
  const claimed = toGatewayRow({ ...gateway, clearingAt: now });
  return (await broker.state.replace({ ...claimed, etag: row.etag })) === 'replaced';
}

async function forgetHandles(broker: Broker): Promise<void> {
  const rows = await broker.state.list('handle', { limit: handlesPerRun });
  const now = broker.now().getTime();
  const over = rows.filter((row) => Number(row.values['expires']) < now);
  for (const row of over) await broker.state.remove(row.partition, row.row);
}

// What waits no more is removed by whoever decides it; what a process has left that died, never would be.
async function forgetPending(broker: Broker): Promise<void> {
  const before = toOldestFirst(new Date(broker.now().getTime() - approvalSeconds * 1000));
  const rows = await broker.state.list(pendingPartition, { before, limit: 200 });
  for (const { partition, row } of rows) await broker.state.remove(partition, row);
}
