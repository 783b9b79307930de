import { app } from '@azure/functions';
import { readOperation } from '../lib/read-operation.ts';
import { answer, http } from './answer.ts';
import { readId } from './read-query.ts';
import { retrySeconds } from './requested.ts';

const extensionSuffix = '.extension';

/** Tells how far a request has come that takes its time. */
export const handler = answer({
  GET: async ({ identify, params }, broker) => {
    const caller = await identify();
    const { id = '' } = params;
    const isExtension = id.endsWith(extensionSuffix);
    const session = readId(isExtension ? id.slice(0, -extensionSuffix.length) : id);
    const body = await readOperation(broker, caller, { session, isExtension });
    const isOver = body.status !== 'NotStarted' && body.status !== 'Running';
    const headers = isOver ? {} : { 'retry-after': retrySeconds };
    return { status: 200, body, headers };
  },
});

app.http('operation', { ...http, route: 'api/operations/{id}', handler });
