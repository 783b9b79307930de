import { app } from '@azure/functions';
import { terminateSession } from '../lib/end-session.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';

/** Ends a session for good. */
export const handler = answer({
  POST: async ({ identify, params }, broker) => {
    const caller = await identify();
    return { status: 200, body: await terminateSession(broker, caller, readId(params['id'])) };
  },
});

app.http('session-terminate', { ...http, route: 'api/sessions/{id}/terminate', handler });
