import { app } from '@azure/functions';
import { readSession } from '../lib/list-sessions.ts';
import { requestSession } from '../lib/request-session.ts';
import { sessionRequestShape } from '../lib/session-request.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';
import { toRequested } from './requested.ts';

/** Requests a session under an id that the caller chooses, so that the request can be repeated, and reads it. */
export const handler = answer({
  PUT: async ({ identify, read, params, clientIp }, broker) => {
    const caller = await identify();
    const id = readId(params['id']);
    const wanted = await read(sessionRequestShape);
    const request = { id, ...(clientIp === undefined ? {} : { clientIp }) };
    return toRequested(broker, await requestSession(broker, caller, wanted, request));
  },
  GET: async ({ identify, params }, broker) => {
    const caller = await identify();
    return { status: 200, body: await readSession(broker, caller, readId(params['id'])) };
  },
});

app.http('session', { ...http, route: 'api/sessions/{id}', handler });
