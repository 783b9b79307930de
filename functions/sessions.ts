import { app } from '@azure/functions';
import { listSessions, sessionQueryShape } from '../lib/list-sessions.ts';
import { requestSession } from '../lib/request-session.ts';
import { sessionRequestShape } from '../lib/session-request.ts';
import { answer, http } from './answer.ts';
import { toPage } from './page.ts';
import { toRequested } from './requested.ts';
import { readQuery } from './read-query.ts';

/** Requests a session under an id that the broker chooses, and lists sessions. */
export const handler = answer({
  POST: async ({ identify, read, clientIp }, broker) => {
    const caller = await identify();
    const wanted = await read(sessionRequestShape);
    const request = { id: broker.newId(), ...(clientIp === undefined ? {} : { clientIp }) };
    return toRequested(broker, await requestSession(broker, caller, wanted, request));
  },
  GET: async ({ identify, query }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, sessionQueryShape);
    const { value, after } = await listSessions(broker, caller, asked);
    return toPage(broker, '/api/sessions', {
      value,
      query,
      ...(after === undefined ? {} : { after }),
    });
  },
});

app.http('sessions', { ...http, route: 'api/sessions', handler });
