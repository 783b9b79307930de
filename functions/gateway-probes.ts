import { app } from '@azure/functions';
import { probeReportShape } from '../lib/gateway-call.ts';
import { noteProbe } from '../lib/order-probe.ts';
import { requireGateway } from '../lib/require-gateway.ts';
import { answer, http } from './answer.ts';

/** Notes what a gateway found when it tried a port. */
export const handler = answer({
  POST: async ({ identify, read }, broker) => {
    const caller = await identify();
    // Before the body: only a gateway may send one that is large.
    requireGateway(broker, caller);
    await noteProbe(broker, caller, await read(probeReportShape));
    return { status: 204 };
  },
});

app.http('gateway-probes', { ...http, route: 'api/gateway/probes', handler });
