import * as z from 'zod';
import type { Broker } from './broker.ts';
import { connectionViewShape } from './session-view.ts';
import type { Row, StoredRow } from './table.ts';

const prefix = 'connection|';

/** A connection of a session as it is stored, in the session's partition. Members of a later version are let through. */
const connectionShape = z.object({
  ...connectionViewShape.shape,
  gateway: z.string(),
  instance: z.uuid(),
});

export type Connection = z.infer<typeof connectionShape>;

/** Returns the row key of a connection in its session's partition. */
export function toConnectionKey(connection: string): string {
  return `${prefix}${connection}`;
}

/** Returns the row of a connection. */
export function toConnectionRow(session: string, connection: Connection): Row {
  const values = { b: JSON.stringify(connection) };
  return { partition: session, row: toConnectionKey(connection.id), values };
}

/** Returns one connection of a session; undefined when it has none of this id. */
export async function findConnection(
  broker: Pick<Broker, 'state'>,
  session: string,
  id: string,
): Promise<Connection | undefined> {
  const row = await broker.state.find(session, toConnectionKey(id));
  return row === undefined ? undefined : toConnection(row);
}

/** Returns connections of a session: all, or at most as many as asked for. */
export async function findConnections(
  broker: Pick<Broker, 'state'>,
  session: string,
  limit?: number,
): Promise<readonly Connection[]> {
  const range = { from: prefix, before: 'connection}' };
  const rows = await broker.state.list(session, limit === undefined ? range : { ...range, limit });
  return rows.map(toConnection);
}

function toConnection(row: StoredRow): Connection {
  return connectionShape.parse(JSON.parse(String(row.values['b'])));
}
