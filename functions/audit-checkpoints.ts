import { app } from '@azure/functions';
import { checkpointQueryShape, listCheckpoints } from '../lib/audit-checkpoints.ts';
import { answer, http } from './answer.ts';
import { readQuery } from './read-query.ts';

/** Lists checkpoints of the audit log. */
export const handler = answer({
  GET: async ({ identify, query }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, checkpointQueryShape);
    const { value, next } = await listCheckpoints(broker, caller, asked);
    if (next === undefined) return { status: 200, body: { value } };
    const link = new URL('/api/audit/checkpoints', broker.url);
    link.search = query.toString();
    link.searchParams.set('from', String(next));
    return { status: 200, body: { value, nextLink: link.href } };
  },
});

app.http('audit-checkpoints', { ...http, route: 'api/audit/checkpoints', handler });
