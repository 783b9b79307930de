import type { HttpMethod, HttpRequest, HttpResponseInit } from '@azure/functions';
import type * as z from 'zod';
import type { Broker } from '../lib/broker.ts';
import type { Caller } from '../lib/caller.ts';
import { BrokerError } from '../lib/failure.ts';
import { readBearer } from '../lib/identity.ts';
import { apiVersions } from '../lib/openapi.ts';
import type { Method } from '../lib/openapi.ts';
import { findBroker } from './compose.ts';
import { log } from './log.ts';
import { readBody } from './read-body.ts';
import { toRefusal } from './refuse.ts';
import { readClientIp } from './client-ip.ts';

/** What a handler answers with. */
export type Answer = {
  readonly status: number;
  readonly body?: unknown;
  /** A body that is no JSON, in place of the other; the headers say what it is. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A request as a handler sees it: read on demand, each part checked when it is read. */
export type Incoming = {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly clientIp?: string;
  /** The version that the request is about (RFC 9110, section 13.1.1). */
  readonly ifMatch?: string;
  /** Returns who asks, or fails with a `token-…` code. */
  readonly identify: () => Promise<Caller>;
  /** Returns the body in its shape, or fails with what is wrong and where. */
  readonly read: <T>(shape: z.ZodType<T>, maxBytes?: number) => Promise<T>;
};

export type Handler = (incoming: Incoming, broker: Broker) => Promise<Answer>;

// The host answers a method that is not registered with 404, and hides that the resource is there.
const methods: HttpMethod[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

/** How an HTTP function is registered. The bearer token is ours to check, so the host's own keys stay out of it. */
export const http = { authLevel: 'anonymous' as const, methods };

/**
 * Makes the handler of one resource from those of its methods. It answers every failure with Problem Details, and
 * writes one log line for each request. Azure passes two arguments; tests pass a broker as the third.
 */
export function answer(
  handlers: Partial<Record<Method, Handler>>,
): (request: HttpRequest, context: unknown, broker?: Broker) => Promise<HttpResponseInit> {
  return async (request, _context, given) => {
    const startedAt = performance.now();
    const requestId = crypto.randomUUID();
    const { response, failure } = await serve(handlers, request, requestId, given);
    const status = response.status ?? 200;
    logRequest(request, { status, requestId, startedAt, failure });
    return response;
  };
}

type Served = { readonly response: HttpResponseInit; readonly failure?: unknown };

async function serve(
  handlers: Partial<Record<Method, Handler>>,
  request: HttpRequest,
  requestId: string,
  given: Broker | undefined,
): Promise<Served> {
  try {
    const handler = findHandler(handlers, request);
    requireApiVersion(request.query);
    const broker = given ?? (await findBroker());
    const { status, body, text, headers } = await handler(toIncoming(request, broker), broker);
    return {
      response: {
        status,
        ...(body === undefined ? {} : { jsonBody: body }),
        ...(text === undefined ? {} : { body: text }),
        headers: { 'cache-control': 'no-store', 'x-ms-request-id': requestId, ...headers },
      },
    };
  } catch (failure) {
    return { response: toRefusal(failure, request.headers, requestId), failure };
  }
}

function findHandler(handlers: Partial<Record<Method, Handler>>, { method }: HttpRequest): Handler {
  const found = Object.entries(handlers).find(([name]) => name === method)?.[1];
  if (found !== undefined) return found;
  const allow = Object.keys(handlers);
  throw new BrokerError('method-not-allowed', `Use ${allow.join(' or ')}.`, { allow });
}

function requireApiVersion(query: URLSearchParams): void {
  const version = query.get('api-version');
  if (version !== null && !apiVersions.some((known) => known === version))
    throw new BrokerError('api-version-unknown', `Use api-version ${apiVersions.join(' or ')}.`);
}

function toIncoming(request: HttpRequest, broker: Broker): Incoming {
  const clientIp = readClientIp(request.headers, broker.proxyHops);
  const ifMatch = request.headers.get('if-match');
  return {
    params: request.params,
    query: request.query,
    ...(clientIp === undefined ? {} : { clientIp }),
    ...(ifMatch === null ? {} : { ifMatch }),
    identify: async () => broker.identify(readBearer(request.headers)),
    read: async (shape, maxBytes) => readBody(request, shape, maxBytes),
  };
}

type Outcome = {
  readonly status: number;
  readonly requestId: string;
  readonly startedAt: number;
  readonly failure?: unknown;
};

function logRequest(request: HttpRequest, outcome: Outcome): void {
  const { status, requestId, startedAt, failure } = outcome;
  log('request', {
    method: request.method,
    // The path alone: a query is the caller's, and has no place in a log.
    path: new URL(request.url).pathname,
    status,
    milliseconds: Math.round(performance.now() - startedAt),
    requestId,
    ...(failure === undefined ? {} : { failure }),
  });
}
