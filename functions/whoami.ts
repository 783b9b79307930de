import { app } from '@azure/functions';
import { toActing } from '../lib/use-delegation.ts';
import { answer, http } from './answer.ts';

/** Tells the caller what the broker believes about them. */
export const handler = answer({
  GET: async ({ identify }) => {
    const caller = await identify();
    const { id, kind, name, app: client, issuer, roles, groups } = caller;
    const { onBehalfOf } = toActing(caller);
    const facts = { id, kind, name, app: client, issuer, roles, groups };
    return { status: 200, body: { ...facts, ...(onBehalfOf && { onBehalfOf }) } };
  },
});

app.http('whoami', { ...http, route: 'api/whoami', handler });
