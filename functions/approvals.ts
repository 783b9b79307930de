import { app } from '@azure/functions';
import { listApprovals } from '../lib/list-approvals.ts';
import { answer, http } from './answer.ts';

/** Lists what the caller may approve or deny. */
export const handler = answer({
  GET: async ({ identify }, broker) => {
    const caller = await identify();
    return { status: 200, body: { value: await listApprovals(broker, caller) } };
  },
});

app.http('approvals', { ...http, route: 'api/approvals', handler });
