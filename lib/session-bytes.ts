import type { Broker } from './broker.ts';
import type { Connection } from './find-connections.ts';
import { findConnections } from './find-connections.ts';
import { findBytes } from './live-connection.ts';

/** Payload bytes that the connections of a session have carried: those of one gateway process, and all others. */
export type SessionBytes = { readonly here: number; readonly elsewhere: number };

/**
 * Returns what all connections of a session have carried, closed and open, both directions together; those that are
 * open as of their last lease. One that closes in this moment may be missing until the next.
 */
export async function findSessionBytes(
  broker: Broker,
  session: string,
  instance: string,
): Promise<SessionBytes> {
  const connections = await findConnections(broker, session);
  const carried = await Promise.all(
    connections.map(async (connection) => {
      const { bytesUp = 0, bytesDown = 0 } = await findCarried(broker, connection);
      return { isHere: connection.instance === instance, bytes: bytesUp + bytesDown };
    }),
  );
  const sum = (isHere: boolean): number =>
    carried.reduce((total, one) => (one.isHere === isHere ? total + one.bytes : total), 0);
  return { here: sum(true), elsewhere: sum(false) };
}

async function findCarried(
  broker: Broker,
  connection: Connection,
): Promise<Pick<Connection, 'bytesUp' | 'bytesDown'>> {
  return connection.state === 'closed'
    ? connection
    : findBytes(broker, connection.instance, connection.id);
}
