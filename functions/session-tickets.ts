import { app } from '@azure/functions';
import { createTicket } from '../lib/create-ticket.ts';
import { ticketRequestShape } from '../lib/session-view.ts';
import { toEndpoint } from '../lib/view-session.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';

/** Makes one more ticket of an open session. */
export const handler = answer({
  POST: async ({ identify, read, params, clientIp }, broker) => {
    const caller = await identify();
    const id = readId(params['id']);
    const wanted = await read(ticketRequestShape);
    const request = { ...wanted, ...(clientIp === undefined ? {} : { clientIp }) };
    const ticket = await createTicket(broker, caller, id, request);
    return { status: 201, body: { ...ticket, endpoint: toEndpoint(broker.gateway.url) } };
  },
});

app.http('session-tickets', { ...http, route: 'api/sessions/{id}/tickets', handler });
