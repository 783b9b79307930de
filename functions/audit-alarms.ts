import { app } from '@azure/functions';
import { listAlarms } from '../lib/audit-health.ts';
import { answer, http } from './answer.ts';

/** Lists what sealers have found to be wrong with the audit log. */
export const handler = answer({
  GET: async ({ identify }, broker) => {
    const caller = await identify();
    return { status: 200, body: { value: await listAlarms(broker, caller) } };
  },
});

app.http('audit-alarms', { ...http, route: 'api/audit/alarms', handler });
