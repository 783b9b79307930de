import { app } from '@azure/functions';
import { readAuditEntry } from '../lib/audit-proof.ts';
import { answer, http } from './answer.ts';

/** Answers with one entry of the audit log. */
export const handler = answer({
  GET: async ({ identify, params }, broker) => {
    const caller = await identify();
    const { chain = '', seq = '' } = params;
    return { status: 200, body: await readAuditEntry(broker, caller, { chain, seq }) };
  },
});

app.http('audit-entry', { ...http, route: 'api/audit/{chain}/{seq}', handler });
