import { app } from '@azure/functions';
import { answer, http } from './answer.ts';

/** Tells the caller what the broker believes about them. */
export const handler = answer({
  GET: async ({ identify }) => {
    const { id, kind, name, app: client, issuer, roles, groups } = await identify();
    return { status: 200, body: { id, kind, name, app: client, issuer, roles, groups } };
  },
});

app.http('whoami', { ...http, route: 'api/whoami', handler });
