import { app } from '@azure/functions';
import { leakReportShape } from '../lib/gateway-call.ts';
import { reportLeak } from '../lib/report-leak.ts';
import { requireGateway } from '../lib/require-gateway.ts';
import { answer, http } from './answer.ts';

/** Spends a ticket that came in a URL. */
export const handler = answer({
  POST: async ({ identify, read }, broker) => {
    const caller = await identify();
    // Before the body: only a gateway may send one that is large.
    requireGateway(broker, caller);
    await reportLeak(broker, caller, await read(leakReportShape));
    return { status: 204 };
  },
});

app.http('gateway-leaks', { ...http, route: 'api/gateway/leaks', handler });
