import * as z from 'zod';
import { BrokerError } from '../lib/failure.ts';
import { parseShape } from './read-body.ts';

const idShape = z.uuid();

/** Returns the query in its shape, or fails with 400 and a pointer to each fault. `api-version` is checked elsewhere. */
export function readQuery<T>(query: URLSearchParams, shape: z.ZodType<T>): T {
  const own = [...query].filter(([name]) => name !== 'api-version');
  return parseShape(Object.fromEntries(own), shape);
}

/** Returns an id of a path in lower case, or fails with 400. */
export function readId(text: string | undefined): string {
  const parsed = idShape.safeParse(text);
  if (!parsed.success)
    throw new BrokerError('request-invalid', 'Use a UUID (RFC 9562) as the id in the path.', {
      faults: [{ pointer: '/id', detail: 'This is not a UUID.' }],
    });
  return parsed.data.toLowerCase();
}
