import { app } from '@azure/functions';
import { redeemRequestShape } from '../lib/gateway-call.ts';
import { redeemTicket } from '../lib/redeem-ticket.ts';
import { requireGateway } from '../lib/require-gateway.ts';
import { answer, http } from './answer.ts';

/** Redeems a ticket for a gateway, which makes one connection. */
export const handler = answer({
  POST: async ({ identify, read }, broker) => {
    const caller = await identify();
    // Before the body: only a gateway may send one that is large.
    requireGateway(broker, caller);
    const request = await read(redeemRequestShape);
    return { status: 201, body: await redeemTicket(broker, caller, request) };
  },
});

app.http('gateway-connections', { ...http, route: 'api/gateway/connections', handler });
