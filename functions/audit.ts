import { app } from '@azure/functions';
import { queryAudit } from '../lib/audit-query.ts';
import { auditQueryShape } from '../lib/audit-view.ts';
import { answer, http } from './answer.ts';
import { toPage } from './page.ts';
import { readQuery } from './read-query.ts';

/** Finds entries of the audit log. */
export const handler = answer({
  GET: async ({ identify, query }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, auditQueryShape);
    const { value, after, isPartial } = await queryAudit(broker, caller, asked);
    const next = after === undefined ? {} : { after };
    return toPage(broker, '/api/audit', {
      value,
      query,
      ...next,
      ...(isPartial ? { more: { partial: true } } : {}),
    });
  },
});

app.http('audit', { ...http, route: 'api/audit', handler });
