import * as z from 'zod';
import type { Broker, GatewayPool } from './broker.ts';
import { BrokerError } from './failure.ts';
import type { Connection } from './find-connections.ts';
import { toConnectionRow } from './find-connections.ts';
import { lockableShape } from './lock.ts';
import { releaseSlot } from './slot.ts';
import type { CloseReason } from './close-reason.ts';
import type { Row, StoredRow } from './table.ts';

// Two views of an open connection: in its session's partition, for its caller; and in the partition of its gateway
// process, so that one query answers a lease, whatever the number of sessions.

/** A connection as its gateway's partition holds it. */
const liveShape = z.object({
  connection: z.uuid(),
  session: z.uuid(),
  openedAt: z.iso.datetime(),
  /** What locks are held against, so that a lease need not read the session. */
  lockable: lockableShape,
  /** The byte limit of the session, where it has one: then each lease tells what was carried elsewhere. */
  maxBytes: z.int().positive().exactOptional(),
});

export type Live = z.infer<typeof liveShape>;

/** A gateway process, by which the broker sees whether its leases are renewed. */
const gatewayShape = z.object({
  instance: z.uuid(),
  pool: z.string(),
  /** Milliseconds since the epoch. */
  renewedAt: z.int(),
  /** When somebody began to clear up after it. */
  clearingAt: z.int().exactOptional(),
});

export type GatewayProcess = z.infer<typeof gatewayShape>;

/** The partition that lists all gateway processes. */
export const gatewaysPartition = 'gateways';

/** Returns the partition that lists the open connections of one gateway process. */
export function toLivePartition(instance: string): string {
  return `live|${instance}`;
}

export function toLiveRow(instance: string, live: Live): Row {
  const values = { b: JSON.stringify(live) };
  return { partition: toLivePartition(instance), row: live.connection, values };
}

export function toLive(row: StoredRow): Live {
  return liveShape.parse(JSON.parse(String(row.values['b'])));
}

/** The bytes that a connection had carried when its gateway last renewed its lease. */
export type Bytes = { readonly bytesUp: number; readonly bytesDown: number };

/**
 * Returns the partition of the bytes last reported by one gateway process. It stands apart from the connections, so
 * that a late lease cannot bring a closed connection back.
 */
export function toBytesPartition(instance: string): string {
  return `bytes|${instance}`;
}

export function toBytesRow(instance: string, connection: string, bytes: Bytes): Row {
  return { partition: toBytesPartition(instance), row: connection, values: { ...bytes } };
}

/** Returns the bytes last reported; zeros for a connection of which nothing was. */
export async function findBytes(
  broker: Broker,
  instance: string,
  connection: string,
): Promise<Bytes> {
  const values = (await broker.state.find(toBytesPartition(instance), connection))?.values;
  return {
    bytesUp: Number(values?.['bytesUp'] ?? 0),
    bytesDown: Number(values?.['bytesDown'] ?? 0),
  };
}

export function toGatewayRow(gateway: GatewayProcess): Row {
  const values = { b: JSON.stringify(gateway) };
  return { partition: gatewaysPartition, row: gateway.instance, values };
}

export function toGateway(row: StoredRow): GatewayProcess {
  return gatewayShape.parse(JSON.parse(String(row.values['b'])));
}

/** Fails with `gateway-unknown` when the process belongs to another pool than the one that asks. */
export async function requireOwnProcess(
  broker: Broker,
  pool: GatewayPool,
  instance: string,
): Promise<void> {
  const row = await broker.state.find(gatewaysPartition, instance);
  if (row !== undefined && toGateway(row).pool !== pool.id)
    throw new BrokerError('gateway-unknown', 'Use an instance id of your own.');
}

/** How a connection ended. */
export type Ending = Bytes & {
  readonly reason: CloseReason;
  readonly durationMilliseconds: number;
};

/**
 * Records that a connection has ended, then gives back what it held. Recorded again when it is called again before it
 * has come to its end, so that a crash in between loses nothing.
 */
export async function recordClose(
  broker: Broker,
  { instance, pool }: { readonly instance: string; readonly pool: string },
  live: Live,
  ending: Ending,
): Promise<void> {
  const { connection, session, openedAt } = live;
  const facts = { session, connection, gateway: pool, instance, ...ending };
  await broker.audit.append([{ type: 'connection.closed', ...facts }]);
  const closed: Connection = {
    id: connection,
    gateway: pool,
    instance,
    state: 'closed',
    openedAt,
    closedAt: broker.now().toISOString(),
    reason: ending.reason,
    bytesUp: ending.bytesUp,
    bytesDown: ending.bytesDown,
  };
  await Promise.all([
    broker.state.put([toConnectionRow(session, closed)]),
    releaseSlot(broker.state, session, connection),
  ]);
  await Promise.all([
    broker.state.remove(toBytesPartition(instance), connection),
    broker.state.remove(toLivePartition(instance), connection),
  ]);
}

/** Returns the open connection with this id of a gateway process; undefined when it has ended. */
export async function findLive(
  broker: Broker,
  instance: string,
  connection: string,
): Promise<Live | undefined> {
  const row = await broker.state.find(toLivePartition(instance), connection);
  return row === undefined ? undefined : toLive(row);
}
