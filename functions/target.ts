import { app } from '@azure/functions';
import { readTarget } from '../lib/reachable-targets.ts';
import { answer, http } from './answer.ts';

/** Reads one target that the caller may reach now. */
export const handler = answer({
  GET: async ({ identify, params, clientIp }, broker) => {
    const caller = await identify();
    return { status: 200, body: await readTarget(broker, caller, params['id'] ?? '', clientIp) };
  },
});

app.http('target', { ...http, route: 'api/targets/{id}', handler });
