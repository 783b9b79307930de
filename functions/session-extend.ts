import { app } from '@azure/functions';
import { extendRequestShape, extendSession } from '../lib/extend-session.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';
import { toMonitor } from './requested.ts';

/** Gives an open session a later deadline. */
export const handler = answer({
  POST: async ({ identify, read, params, clientIp }, broker) => {
    const caller = await identify();
    const id = readId(params['id']);
    const wanted = await read(extendRequestShape);
    const request = { ...wanted, ...(clientIp === undefined ? {} : { clientIp }) };
    const { view, isWaiting } = await extendSession(broker, caller, id, request);
    if (!isWaiting) return { status: 200, body: view };
    return { status: 202, body: view, headers: toMonitor(broker, `${id}.extension`) };
  },
});

app.http('session-extend', { ...http, route: 'api/sessions/{id}/extend', handler });
