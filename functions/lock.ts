import { app } from '@azure/functions';
import { lockRequestShape } from '../lib/lock.ts';
import { liftLock, readLock, setLock } from '../lib/manage-locks.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';

/** Sets, reads and lifts a lock. */
export const handler = answer({
  PUT: async ({ identify, read, params }, broker) => {
    const caller = await identify();
    const id = readId(params['id']);
    const lock = await setLock(broker, caller, id, await read(lockRequestShape));
    return { status: 200, body: lock };
  },
  GET: async ({ identify, params }, broker) => {
    const caller = await identify();
    return { status: 200, body: await readLock(broker, caller, readId(params['id'])) };
  },
  DELETE: async ({ identify, params }, broker) => {
    const caller = await identify();
    await liftLock(broker, caller, readId(params['id']));
    return { status: 204 };
  },
});

app.http('lock', { ...http, route: 'api/locks/{id}', handler });
