import { app } from '@azure/functions';
import { approvalRequestShape } from '../lib/approval-view.ts';
import { decideApproval } from '../lib/approve-session.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';

/** Approves or denies what a session waits for. */
export const handler = answer({
  POST: async ({ identify, read, params, ifMatch }, broker) => {
    const caller = await identify();
    const id = readId(params['id']);
    const wanted = await read(approvalRequestShape);
    const judgement = { ...wanted, ...(ifMatch === undefined ? {} : { ifMatch }) };
    return { status: 200, body: await decideApproval(broker, caller, id, judgement) };
  },
});

app.http('session-approval', { ...http, route: 'api/sessions/{id}/approval', handler });
