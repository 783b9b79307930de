import { app } from '@azure/functions';
import { toOpenApi } from '../lib/openapi.ts';
import { answer, http } from './answer.ts';

// Anybody may ask, and the answer is the same as long as the process lives.
const documents = new WeakMap<URL, ReturnType<typeof toOpenApi>>();

/** Publishes the OpenAPI 3.1 document of the API. */
export const handler = answer({
  GET: async (_incoming, { url }) => {
    const document = documents.get(url) ?? toOpenApi(url);
    documents.set(url, document);
    return { status: 200, body: document };
  },
});

app.http('openapi', { ...http, route: 'api/openapi.json', handler });
