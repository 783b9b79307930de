import { app } from '@azure/functions';
import { delegationQueryShape, listDelegations } from '../lib/list-delegations.ts';
import { answer, http } from './answer.ts';
import { toPage } from './page.ts';
import { readQuery } from './read-query.ts';

/** Lists delegations. */
export const handler = answer({
  GET: async ({ identify, query }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, delegationQueryShape);
    const { value, after } = await listDelegations(broker, caller, asked);
    return toPage(broker, '/api/delegations', {
      value,
      query,
      ...(after === undefined ? {} : { after }),
    });
  },
});

app.http('delegations', { ...http, route: 'api/delegations', handler });
