import { app } from '@azure/functions';
import { leaseRequestShape } from '../lib/gateway-call.ts';
import { renewLeases } from '../lib/renew-leases.ts';
import { requireGateway } from '../lib/require-gateway.ts';
import { answer, http } from './answer.ts';

// Ten thousand connections at some 200 bytes each.
const maxBytes = 2_097_152;

/** Renews the leases of all connections of a gateway process. */
export const handler = answer({
  POST: async ({ identify, read }, broker) => {
    const caller = await identify();
    // Before the body: only a gateway may send one that is large.
    requireGateway(broker, caller);
    const request = await read(leaseRequestShape, maxBytes);
    return { status: 200, body: await renewLeases(broker, caller, request) };
  },
});

app.http('gateway-leases', { ...http, route: 'api/gateway/leases', handler });
