import { app } from '@azure/functions';
import { closeConnection } from '../lib/close-connection.ts';
import { closeRequestShape } from '../lib/gateway-call.ts';
import { requireGateway } from '../lib/require-gateway.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';

/** Records how a connection ended. */
export const handler = answer({
  POST: async ({ identify, read, params }, broker) => {
    const caller = await identify();
    // Before the body: only a gateway may send one that is large.
    requireGateway(broker, caller);
    const id = readId(params['id']);
    await closeConnection(broker, caller, id, await read(closeRequestShape));
    return { status: 204 };
  },
});

app.http('gateway-connection-close', {
  ...http,
  route: 'api/gateway/connections/{id}/close',
  handler,
});
