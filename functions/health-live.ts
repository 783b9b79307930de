import { app } from '@azure/functions';
import { answer, http } from './answer.ts';

/** Tells that the process answers and that its settings are complete. */
export const handler = answer({
  GET: async () => ({ status: 200, body: { status: 'healthy' } }),
});

app.http('health-live', { ...http, route: 'api/health/live', handler });
