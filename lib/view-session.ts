import * as z from 'zod';
import type { Broker } from './broker.ts';
import { connectionViewShape } from './session-view.ts';
import type { SessionView } from './session-view.ts';
import type { Session } from './session.ts';
import type { StoredRow } from './table.ts';

/** A connection of a session as it is stored, in the session's partition. */
const connectionShape = connectionViewShape.extend({
  gateway: z.string(),
  instance: z.uuid(),
});

export type Connection = z.infer<typeof connectionShape>;

export const connectionPrefix = 'connection|';

/** Returns the connection that a row holds. */
function toConnection(row: StoredRow): Connection {
  return connectionShape.parse(JSON.parse(String(row.values['b'])));
}

/** Returns the session as its caller may see it: without the host of the target and without the policy input. */
export function toSessionView(broker: Pick<Broker, 'gateway'>, session: Session): SessionView {
  const { id, state, endReason, caller, target, protocol, port, reason, change } = session;
  return {
    id,
    state,
    ...(endReason === undefined ? {} : { endReason }),
    caller,
    target,
    protocol,
    port,
    ...(reason === undefined ? {} : { reason }),
    ...(change === undefined ? {} : { change }),
    createdAt: session.createdAt,
    deadline: session.deadline,
    terms: session.terms,
    decision: { policies: session.policies, digest: session.digest },
    endpoint: toEndpoint(broker.gateway.url),
  };
}

/** Returns the URL where a ticket for the raw tunnel is presented. */
export function toEndpoint(gateway: URL): string {
  return new URL('/connect', gateway).href;
}

/** Returns the session with its connections, oldest first. */
export async function viewConnections(broker: Broker, session: Session): Promise<SessionView> {
  const range = { from: connectionPrefix, before: 'connection}' };
  const rows = await broker.state.list(session.id, range);
  const connections = rows
    .map(toConnection)
    .map(({ gateway: _gateway, instance: _instance, ...view }) => view)
    .toSorted((a, b) => a.openedAt.localeCompare(b.openedAt));
  return { ...toSessionView(broker, session), connections };
}
