import type { HttpRequest } from '@azure/functions';
import type * as z from 'zod';
import type { Fault } from '../lib/failure.ts';
import { BrokerError } from '../lib/failure.ts';

const usualBytes = 65_536;

// Enough to mend a request by, and not more than was sent.
const mostFaults = 20;

/** Returns a JSON body in its shape, or fails with 411, 413, 415, or with 400 and a pointer to each fault. */
export async function readBody<T>(
  request: HttpRequest,
  shape: z.ZodType<T>,
  maxBytes = usualBytes,
): Promise<T> {
  requireJson(request.headers);
  const tooLarge = new BrokerError(
    'body-too-large',
    `Send at most ${String(maxBytes)} bytes in one request.`,
  );
  if (maxBytes < Number(request.headers.get('content-length') ?? 0)) throw tooLarge;
  const text = await request.text();
  if (maxBytes < Buffer.byteLength(text)) throw tooLarge;
  // The host drops a chunked body in buffered mode, and the caller should hear that instead of "unexpected end".
  if (text === '' && request.headers.has('transfer-encoding'))
    throw new BrokerError('length-required', 'Send the body with a content-length, not chunked.');
  return parseBody(text, shape);
}

function requireJson(headers: HttpRequest['headers']): void {
  const type = headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  const isEmpty = headers.get('content-length') === '0' && !headers.has('transfer-encoding');
  if (type === undefined && isEmpty) return;
  if (type !== 'application/json')
    throw new BrokerError('media-type-unsupported', 'Send the body as application/json.');
}

function parseBody<T>(text: string, shape: z.ZodType<T>): T {
  let value: unknown;
  try {
    // A body is optional where every member of it is.
    value = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new BrokerError('request-invalid', 'Send a body that is JSON.', {
      faults: [{ pointer: '', detail: 'This is not JSON.' }],
    });
  }
  return parseShape(value, shape);
}

/** Returns the value in its shape, or fails with 400 and a pointer (RFC 6901) to each fault. */
export function parseShape<T>(value: unknown, shape: z.ZodType<T>): T {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.slice(0, mostFaults).map((issue): Fault => ({
    pointer: issue.path.map((part) => `/${escapePointer(String(part))}`).join(''),
    detail: issue.message,
  }));
  throw new BrokerError('request-invalid', 'Correct what the faults name, then send it again.', {
    faults,
  });
}

function escapePointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}
