import type { Broker, GatewayPool } from './broker.ts';
import { BrokerError } from './failure.ts';
import type { Connection } from './find-connections.ts';
import { findConnection, toConnectionKey, toConnectionRow } from './find-connections.ts';
import type { RedeemRequest } from './gateway-call.ts';
import type { Live } from './live-connection.ts';
import { recordClose, toGatewayRow, toLivePartition, toLiveRow } from './live-connection.ts';
import type { Lockable } from './lock.ts';
import { takeSlot } from './slot.ts';
import type { Permission } from './ticket.ts';

/** What a connection is made of: who redeemed, what the ticket permits, and what locks are held against. */
export type Joining = {
  readonly pool: GatewayPool;
  readonly request: RedeemRequest;
  readonly permission: Permission;
  readonly lockable: Lockable;
};

/**
 * Makes the connection of a redemption: its row, its gateway's knowledge of it, its place among the session's
 * connections, and last its record, so that what is recorded as opened can always be recorded as closed. A repetition finds the
 * rows of the first call. When anything fails, what there is of the connection is closed, and no gateway hears of it.
 */
export async function joinConnection(broker: Broker, joining: Joining): Promise<void> {
  const { connection, isRepeated } = await insertConnection(broker, joining);
  const { lockable } = joining;
  const { session, terms } = joining.permission;
  const live: Live = {
    connection: connection.id,
    session,
    openedAt: connection.openedAt,
    lockable,
    ...(terms.maxBytes === undefined ? {} : { maxBytes: terms.maxBytes }),
  };
  try {
    // Before the place: what is taken for a connection that nobody knows of would never be given back.
    await storeLive(broker, joining, live);
    await takeConnectionSlot(broker, joining, isRepeated);
    await recordOpen(broker, joining);
  } catch (failure) {
    await takeBack(broker, joining, live, failure);
    throw failure;
  }
}

async function storeLive(broker: Broker, { request, pool }: Joining, live: Live): Promise<void> {
  const { instance } = request;
  const gateway = { instance, pool: pool.id, renewedAt: broker.now().getTime() };
  await Promise.all([
    broker.state.put([toLiveRow(instance, live)]),
    // The first lease may never come, so the process must be known from its first connection on.
    broker.state.insert(toGatewayRow(gateway)),
  ]);
}

type Inserted = { readonly connection: Connection; readonly isRepeated: boolean };

async function insertConnection(broker: Broker, joining: Joining): Promise<Inserted> {
  const { request, permission, pool } = joining;
  const { instance, nonce: id } = request;
  const openedAt = broker.now().toISOString();
  const wanted = { id, gateway: pool.id, instance, state: 'open', openedAt } as const;
  const row = toConnectionRow(permission.session, wanted);
  if ((await broker.state.insert(row)) === 'inserted')
    return { connection: wanted, isRepeated: false };
  const known = await findConnection(broker, permission.session, id);
  // A connection that has closed does not open again, and one of another process is not this one.
  if (known?.state === 'open' && known.instance === instance)
    return { connection: known, isRepeated: true };
  throw new BrokerError('ticket-spent', 'A ticket lets one connection in. Ask for a new one.');
}

async function takeConnectionSlot(
  broker: Broker,
  { permission: { session, terms }, request }: Joining,
  isRepeated: boolean,
): Promise<void> {
  const limit = Math.min(
    terms.maxConnections ?? Number.POSITIVE_INFINITY,
    broker.limits.maxConnections,
  );
  const wanted = { partition: session, holder: request.nonce, about: session, limit, isRepeated };
  const isHeld = async (holder: string): Promise<boolean> =>
    (await findConnection(broker, session, holder))?.state === 'open';
  if (!(await takeSlot(broker.state, wanted, broker.now(), isHeld)))
    throw new BrokerError(
      'connection-limit',
      `The session allows ${String(limit)} connections at once. Close one, then ask again.`,
    );
}

async function recordOpen(broker: Broker, { pool, request, permission }: Joining): Promise<void> {
  const { instance, nonce, clientIp } = request;
  const { session, ticket, host, port } = permission;
  const facts = { session, connection: nonce, gateway: pool.id, instance };
  const ip = clientIp === undefined ? {} : { clientIp };
  await broker.audit.append([
    { type: 'ticket.redeemed', ...facts, ticket },
    { type: 'connection.opened', ...facts, host, port, ...ip },
  ]);
}

async function takeBack(
  broker: Broker,
  { pool, request, permission }: Joining,
  live: Live,
  failure: unknown,
): Promise<void> {
  const { instance } = request;
  try {
    // A place that was not to be had leaves nothing that was opened.
    if (failure instanceof BrokerError && failure.code === 'connection-limit') {
      await broker.state.remove(toLivePartition(instance), live.connection);
      return await broker.state.remove(permission.session, toConnectionKey(live.connection));
    }
    const nothing = { bytesUp: 0, bytesDown: 0, durationMilliseconds: 0 };
    const ending = { reason: 'gateway-failed', ...nothing } as const;
    return await recordClose(broker, { instance, pool: pool.id }, live, ending);
  } catch (cause) {
    // The rows stay, and the next lease of the process, or the loss of the process, records the close.
    broker.log('connection.left-open', { connection: live.connection, failure: cause });
  }
}
