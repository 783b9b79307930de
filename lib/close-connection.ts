import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import type { CloseRequest } from './gateway-call.ts';
import { findLive, recordClose, requireOwnProcess } from './live-connection.ts';
import { requireGateway } from './require-gateway.ts';

/** Records how a connection ended. One that is recorded already is left as it is, so that a report can be repeated. */
export async function closeConnection(
  broker: Broker,
  caller: Caller,
  connection: string,
  request: CloseRequest,
): Promise<void> {
  const pool = requireGateway(broker, caller);
  const { instance, session, ...ending } = request;
  await requireOwnProcess(broker, pool, instance);
  const live = await findLive(broker, instance, connection);
  if (live === undefined) return;
  if (live.session !== session)
    throw new BrokerError('request-invalid', 'The connection is of another session.', {
      faults: [{ pointer: '/session', detail: 'Give the session that the redemption named.' }],
    });
  await recordClose(broker, { instance, pool: pool.id }, live, ending);
}
