import { app } from '@azure/functions';
import { toDiscovery } from '../lib/discovery.ts';
import { answer, http } from './answer.ts';

/** Tells a client what it needs to know before it can ask. */
export const handler = answer({
  GET: async (_incoming, broker) => {
    return { status: 200, body: toDiscovery(broker) };
  },
});

app.http('discovery', { ...http, route: '.well-known/sallyport', handler });
