import { app } from '@azure/functions';
import { exportAudit, exportQueryShape } from '../lib/audit-export.ts';
import { answer, http } from './answer.ts';
import { readQuery } from './read-query.ts';

/** Answers with a page of the audit log, as NDJSON. */
export const handler = answer({
  GET: async ({ identify, query }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, exportQueryShape);
    const text = await exportAudit(broker, caller, asked);
    return { status: 200, text, headers: { 'content-type': 'application/x-ndjson' } };
  },
});

app.http('audit-export', { ...http, route: 'api/audit/export', handler });
