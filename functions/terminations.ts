import { app } from '@azure/functions';
import { terminateRequestShape, terminateSessions } from '../lib/terminate-sessions.ts';
import { answer, http } from './answer.ts';

/** Ends all open sessions that a filter names. */
export const handler = answer({
  POST: async ({ identify, read }, broker) => {
    const caller = await identify();
    const filter = await read(terminateRequestShape);
    return { status: 200, body: await terminateSessions(broker, caller, filter) };
  },
});

app.http('terminations', { ...http, route: 'api/terminations', handler });
