import { app } from '@azure/functions';
import { listLocks } from '../lib/manage-locks.ts';
import { answer, http } from './answer.ts';

/** Lists the locks in force. */
export const handler = answer({
  GET: async ({ identify }, broker) => {
    const caller = await identify();
    return { status: 200, body: { value: await listLocks(broker, caller) } };
  },
});

app.http('locks', { ...http, route: 'api/locks', handler });
