import { HttpRequest, HttpResponse } from '@azure/functions';
import type { HttpResponseInit } from '@azure/functions';
import type * as z from 'zod';
import { handler as approvals } from '../../functions/approvals.ts';
import { handler as audit } from '../../functions/audit.ts';
import { handler as auditAlarms } from '../../functions/audit-alarms.ts';
import { handler as auditCheckpoints } from '../../functions/audit-checkpoints.ts';
import { handler as auditEntry } from '../../functions/audit-entry.ts';
import { handler as auditExport } from '../../functions/audit-export.ts';
import { handler as auditFeed } from '../../functions/audit-feed.ts';
import { handler as delegation } from '../../functions/delegation.ts';
import { handler as delegations } from '../../functions/delegations.ts';
import { handler as discovery } from '../../functions/discovery.ts';
import { handler as gatewayConnectionClose } from '../../functions/gateway-connection-close.ts';
import { handler as gatewayConnections } from '../../functions/gateway-connections.ts';
import { handler as gatewayLeaks } from '../../functions/gateway-leaks.ts';
import { handler as gatewayLeases } from '../../functions/gateway-leases.ts';
import { handler as gatewayProbes } from '../../functions/gateway-probes.ts';
import { handler as healthLive } from '../../functions/health-live.ts';
import { handler as healthReady } from '../../functions/health-ready.ts';
import { handler as jwks } from '../../functions/jwks.ts';
import { handler as lock } from '../../functions/lock.ts';
import { handler as locks } from '../../functions/locks.ts';
import { handler as operation } from '../../functions/operation.ts';
import { handler as openapi } from '../../functions/openapi.ts';
import { handler as policyExplain } from '../../functions/policy-explain.ts';
import { handler as policySimulate } from '../../functions/policy-simulate.ts';
import { handler as sessionApproval } from '../../functions/session-approval.ts';
import { handler as sessionExtend } from '../../functions/session-extend.ts';
import { handler as sessionTerminate } from '../../functions/session-terminate.ts';
import { handler as sessionTickets } from '../../functions/session-tickets.ts';
import { handler as session } from '../../functions/session.ts';
import { handler as terminations } from '../../functions/terminations.ts';
import { handler as sessions } from '../../functions/sessions.ts';
import { handler as target } from '../../functions/target.ts';
import { handler as targets } from '../../functions/targets.ts';
import { handler as whoami } from '../../functions/whoami.ts';
import type { Broker } from '../../lib/broker.ts';
import { operations } from '../../lib/openapi.ts';
import { problemShape } from '../../lib/problem.ts';

/** The handler of each path of the API. */
export const handlers = {
  '/api/sessions': sessions,
  '/api/sessions/{id}': session,
  '/api/sessions/{id}/tickets': sessionTickets,
  '/api/sessions/{id}/terminate': sessionTerminate,
  '/api/sessions/{id}/extend': sessionExtend,
  '/api/sessions/{id}/approval': sessionApproval,
  '/api/approvals': approvals,
  '/api/audit': audit,
  '/api/audit/{chain}/{seq}': auditEntry,
  '/api/audit/alarms': auditAlarms,
  '/api/audit/checkpoints': auditCheckpoints,
  '/api/audit/export': auditExport,
  '/api/audit/feed': auditFeed,
  '/api/operations/{id}': operation,
  '/api/terminations': terminations,
  '/api/locks': locks,
  '/api/locks/{id}': lock,
  '/api/delegations': delegations,
  '/api/delegations/{id}': delegation,
  '/api/targets': targets,
  '/api/targets/{id}': target,
  '/api/policy/explain': policyExplain,
  '/api/policy/simulate': policySimulate,
  '/api/whoami': whoami,
  '/api/gateway/connections': gatewayConnections,
  '/api/gateway/leases': gatewayLeases,
  '/api/gateway/connections/{id}/close': gatewayConnectionClose,
  '/api/gateway/probes': gatewayProbes,
  '/api/gateway/leaks': gatewayLeaks,
  '/.well-known/sallyport': discovery,
  '/.well-known/jwks.json': jwks,
  '/api/openapi.json': openapi,
  '/api/health/live': healthLive,
  '/api/health/ready': healthReady,
} as const;

export type Path = keyof typeof handlers;

/** What to send. The bearer token of a test caller is its name. */
export type Sent = {
  readonly token?: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
};

/** What came back. */
export type Received = {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
};

/** Calls the handler of a path, and fails when what it answers is not what the OpenAPI document promises. */
export async function call(
  broker: Broker,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: Path,
  sent: Sent = {},
): Promise<Received> {
  const response = await handlers[path](toRequest(method, path, sent), undefined, broker);
  const received = toReceived(response);
  findShape(method, path, received.status)?.parse(received.body);
  return received;
}

function toRequest(method: string, path: Path, sent: Sent): HttpRequest {
  const { token, params = {}, query = {}, headers = {}, body } = sent;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const url = path.replace(/\{(\w+)\}/g, (_, name: string) => params[name] ?? '');
  return new HttpRequest({
    method,
    url: `https://broker.test${url}`,
    params: { ...params },
    query: { ...query },
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : toBodyHeaders(text)),
      ...headers,
    },
    ...(body === undefined ? {} : { body: { string: text } }),
  });
}

function toBodyHeaders(text: string): Record<string, string> {
  return { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
}

function toReceived(init: HttpResponseInit): Received {
  const { status = 200, body } = init;
  const headers = new Headers(new HttpResponse(init).headers);
  const isText = headers.get('content-type') === 'application/x-ndjson';
  const text: unknown = typeof body === 'string' && !isText ? JSON.parse(body) : body;
  return { status, headers, body: text ?? init.jsonBody };
}

function findShape(method: string, path: Path, status: number): z.ZodType | undefined {
  if (400 <= status)
    return status === 500 ? undefined : (findAnswer(method, path, status) ?? problemShape);
  const operation = operations.find((known) => known.path === path && known.method === method);
  if (operation === undefined) throw new Error(`no operation is ${method} ${path}`);
  if (!(status in operation.answers))
    throw new Error(`${method} ${path} does not promise ${String(status)}`);
  return operation.answers[status];
}

function findAnswer(method: string, path: Path, status: number): z.ZodType | undefined {
  return operations.find((known) => known.path === path && known.method === method)?.answers[
    status
  ];
}
