import { app } from '@azure/functions';
import { answer, http } from './answer.ts';

// Short, because a new process lists its key just before it signs its first ticket.
const cache = { 'cache-control': 'public, max-age=30' };

/** Publishes the public keys of tickets (RFC 7517). */
export const handler = answer({
  GET: async (_incoming, { keys }) => {
    return { status: 200, body: { keys: await keys.list() }, headers: cache };
  },
});

app.http('jwks', { ...http, route: '.well-known/jwks.json', handler });
