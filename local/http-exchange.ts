import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { z } from 'zod';
import type { LoadedFunction, Report } from './functions-core.ts';
import { matchRoute, type Route, type RouteParams } from './route.ts';

/** An HTTP function with its route, in the order in which the host tries them. */
export interface Endpoint {
  readonly loaded: LoadedFunction;
  readonly route: Route;
}

// Azure's own bound is 100 MiB. What the app accepts is far below both.
const maxBodyBytes = 10 * 1024 * 1024;

const answerSchema = z.object({
  http: z.object({
    statusCode: z.string(),
    headers: z.record(z.string(), z.string()),
    // Azure carries cookies beside the headers. No function sets one, so they fail here.
    cookies: z.array(z.unknown()).max(0),
    body: z.object({ bytes: z.instanceof(Uint8Array) }).nullish(),
  }),
});

/** Answers one request as the Azure host does, and reports its outcome. Never rejects. */
export async function exchange(
  endpoints: readonly Endpoint[],
  request: IncomingMessage,
  response: ServerResponse,
  report: Report,
): Promise<void> {
  const started = performance.now();
  const url = URL.parse(`http://${request.headers.host ?? 'localhost'}${request.url ?? '/'}`);
  const found = url ? findEndpoint(endpoints, request.method, url.pathname) : undefined;
  const facts = { function: found?.loaded.name, method: request.method };
  try {
    const answer = url && found ? await run(found, request, url, report) : { status: 404 };
    respond(response, answer);
  } catch (cause) {
    // The peer has hung up in the middle of its request, which is not an error.
    if (!request.complete && request.socket.destroyed) return;
    report('failure', { ...facts, error: describe(cause) });
    respond(response, { status: 500 });
  }
  // Paths and queries stay out of the log: they may carry what only the caller may know.
  const milliseconds = Math.round(performance.now() - started);
  report('request', { ...facts, status: response.statusCode, milliseconds });
}

async function run(
  { loaded, params }: Match,
  request: IncomingMessage,
  url: URL,
  report: Report,
): Promise<Answer> {
  const body = await readBody(request);
  // Node would read all of the body for the sake of the connection's next request.
  if (body === 'too large') return { status: 413, headers: { connection: 'close' } };
  const http = toRpcRequest(request, url, params, body);
  const raw = await loaded.invoke({ http }, (level, message) =>
    report('log', { function: loaded.name, level, message }),
  );
  return parseAnswer(raw);
}

interface Match {
  readonly loaded: LoadedFunction;
  readonly params: RouteParams;
}

function findEndpoint(
  endpoints: readonly Endpoint[],
  method: string | undefined,
  path: string,
): Match | undefined {
  for (const { loaded, route } of endpoints) {
    const params = matchRoute(route, path);
    if (params && loaded.methods.includes(method ?? '')) return { loaded, params };
  }
  return undefined;
}

async function readBody(request: IncomingMessage): Promise<Buffer | 'too large'> {
  // In Azure's buffered mode a chunked body never reaches the function.
  if (request.headers['transfer-encoding'] !== undefined) {
    request.resume();
    return Buffer.alloc(0);
  }
  // Without chunks Node reads exactly this many bytes, so one look bounds the memory.
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return 'too large';
  return buffer(request);
}

function toRpcRequest(
  request: IncomingMessage,
  url: URL,
  params: RouteParams,
  body: Buffer,
): object {
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    headers[name] = values?.join(',') ?? '';
  }
  // The front end of Azure appends the peer's address and port to what the caller claims.
  const { remoteAddress, remoteFamily, remotePort } = request.socket;
  const peer = `${remoteFamily === 'IPv6' ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
  const claimed = headers['x-forwarded-for'];
  headers['x-forwarded-for'] = claimed === undefined ? peer : `${claimed}, ${peer}`;
  const query: Record<string, string> = {};
  for (const name of url.searchParams.keys()) query[name] = url.searchParams.getAll(name).join(',');
  return {
    url: url.href,
    method: request.method,
    nullableHeaders: toNullable(headers),
    nullableQuery: toNullable(query),
    nullableParams: toNullable(params),
    body: body.length > 0 ? { bytes: body } : undefined,
  };
}

function toNullable(values: Readonly<Record<string, string>>): object {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { value }] as const),
  );
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

function parseAnswer(raw: unknown): Answer {
  if (raw === undefined || raw === null) return { status: 204 };
  const { http } = answerSchema.parse(raw);
  return { status: Number(http.statusCode), headers: http.headers, body: http.body?.bytes };
}

function respond(response: ServerResponse, answer: Answer): void {
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  response.end(answer.body);
}

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
