import { app } from '@azure/functions';
import * as z from 'zod';
import { listTargets } from '../lib/reachable-targets.ts';
import { answer, http } from './answer.ts';
import { toPage } from './page.ts';
import { readQuery } from './read-query.ts';

const queryShape = z.strictObject({ after: z.guid().exactOptional() });

/** Lists what the caller may reach now. */
export const handler = answer({
  GET: async ({ identify, query, clientIp }, broker) => {
    const caller = await identify();
    const asked = readQuery(query, queryShape);
    const ip = clientIp === undefined ? {} : { clientIp };
    const { value, after } = await listTargets(broker, caller, { ...asked, ...ip });
    return toPage(broker, '/api/targets', {
      value,
      query,
      ...(after === undefined ? {} : { after }),
    });
  },
});

app.http('targets', { ...http, route: 'api/targets', handler });
