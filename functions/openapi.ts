import { app } from '@azure/functions';
import { toOpenApi } from '../lib/openapi.ts';
import { answer, http } from './answer.ts';

/** Publishes the OpenAPI 3.1 document of the API. */
export const handler = answer({
  GET: async (_incoming, { url }) => {
    return { status: 200, body: toOpenApi(url) };
  },
});

app.http('openapi', { ...http, route: 'api/openapi.json', handler });
