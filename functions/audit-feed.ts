import { app } from '@azure/functions';
import { feedQueryShape, readFeed } from '../lib/audit-feed.ts';
import { answer, http } from './answer.ts';
import { readQuery } from './read-query.ts';

/** Answers with what the audit log has gained, for programs that copy it. */
export const handler = answer({
  GET: async ({ identify, query }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, feedQueryShape);
    return { status: 200, body: await readFeed(broker, caller, asked) };
  },
});

app.http('audit-feed', { ...http, route: 'api/audit/feed', handler });
