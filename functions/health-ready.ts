import { app } from '@azure/functions';
import { answer, http } from './answer.ts';

/** Tells whether a session could be granted now. */
export const handler = answer({
  GET: async (_incoming, broker) => {
    const health = await broker.health();
    return { status: health.status === 'unhealthy' ? 503 : 200, body: health };
  },
});

app.http('health-ready', { ...http, route: 'api/health/ready', handler });
