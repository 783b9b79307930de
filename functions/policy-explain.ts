import { app } from '@azure/functions';
import { explainRequest, explainRequestShape } from '../lib/explain.ts';
import { answer, http } from './answer.ts';

/** Explains what policy decides about a request, and what would change it. */
export const handler = answer({
  POST: async ({ identify, read, clientIp }, broker) => {
    const caller = await identify();
    const wanted = await read(explainRequestShape);
    return { status: 200, body: await explainRequest(broker, caller, wanted, clientIp) };
  },
});

app.http('policy-explain', { ...http, route: 'api/policy/explain', handler });
