import { app } from '@azure/functions';
import { delegationRequestShape } from '../lib/delegation.ts';
import { giveDelegation } from '../lib/give-delegation.ts';
import { readDelegation } from '../lib/list-delegations.ts';
import { revokeDelegation } from '../lib/revoke-delegation.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';

/** Gives, reads and revokes a delegation. */
export const handler = answer({
  PUT: async ({ identify, read, params }, broker) => {
    const caller = await identify();
    const id = readId(params['id']);
    const wanted = await read(delegationRequestShape);
    const { view, isNew } = await giveDelegation(broker, caller, id, wanted);
    return { status: isNew ? 201 : 200, body: view };
  },
  GET: async ({ identify, params }, broker) => {
    const caller = await identify();
    return { status: 200, body: await readDelegation(broker, caller, readId(params['id'])) };
  },
  DELETE: async ({ identify, params }, broker) => {
    const caller = await identify();
    await revokeDelegation(broker, caller, readId(params['id']));
    return { status: 204 };
  },
});

app.http('delegation', { ...http, route: 'api/delegations/{id}', handler });
