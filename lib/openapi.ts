import * as z from 'zod';
import { approvalOperations } from './approval-operations.ts';
import { auditOperations } from './audit-operations.ts';
import { auditQueryOperations } from './audit-query-operations.ts';
import { delegationOperations } from './delegation-operations.ts';
import { policyOperations } from './explain-operations.ts';
import { extendRequestShape } from './extend-session.ts';
import { feedOperations } from './feed-operations.ts';
import { gatewayOperations } from './gateway-operations.ts';
import { sessionQueryShape } from './list-sessions.ts';
import { lockListShape, lockRequestShape, lockShape } from './lock.ts';
import { problemShape } from './problem.ts';
import { sessionRequestShape } from './session-request.ts';
import {
  discoveryShape,
  sessionListShape,
  sessionViewShape,
  targetListShape,
  targetViewShape,
  ticketAnswerShape,
  ticketRequestShape,
  whoamiShape,
} from './session-view.ts';
import { terminateAnswerShape, terminateRequestShape } from './terminate-sessions.ts';

/** The versions of the API that this broker speaks, newest first. */
export const apiVersions = ['2026-11-01'] as const;

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** One operation of the API: what it takes and what it answers with, by status. Every one may answer with a problem. */
export type Operation = {
  readonly path: string;
  readonly method: Method;
  readonly summary: string;
  readonly isOpen?: boolean;
  readonly query?: z.ZodObject;
  /** Whether it is about one version, which `If-Match` names (RFC 9110, section 13.1.1). */
  readonly isConditional?: boolean;
  readonly body?: z.ZodType;
  readonly answers: Readonly<Record<number, z.ZodType | undefined>>;
  /** What the answers are; JSON when absent. */
  readonly media?: string;
};

const anything = z.record(z.string(), z.unknown());

export const healthShape = z.strictObject({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  checks: z.record(z.string(), z.enum(['healthy', 'degraded', 'unhealthy'])).exactOptional(),
});

const jwksShape = z.strictObject({ keys: z.array(z.record(z.string(), z.string())) });

/** All operations. The documents and the tests are made from this list. */
export const operations: readonly Operation[] = [
  {
    path: '/api/sessions',
    method: 'POST',
    summary: 'Request a session under an id that the broker chooses.',
    body: sessionRequestShape,
    answers: { 201: sessionViewShape },
  },
  {
    path: '/api/sessions',
    method: 'GET',
    summary: 'List sessions, newest first.',
    query: sessionQueryShape,
    answers: { 200: sessionListShape },
  },
  {
    path: '/api/sessions/{id}',
    method: 'PUT',
    summary: 'Request a session under an id that the caller chooses. Safe to repeat.',
    body: sessionRequestShape,
    answers: { 200: sessionViewShape, 201: sessionViewShape },
  },
  {
    path: '/api/sessions/{id}',
    method: 'GET',
    summary: 'Read a session with its connections.',
    answers: { 200: sessionViewShape },
  },
  {
    path: '/api/sessions/{id}/tickets',
    method: 'POST',
    summary: 'Make one more ticket of an open session.',
    body: ticketRequestShape,
    answers: { 201: ticketAnswerShape },
  },
  {
    path: '/api/sessions/{id}/terminate',
    method: 'POST',
    summary: 'End a session for good and cut its connections.',
    answers: { 200: sessionViewShape },
  },
  {
    path: '/api/sessions/{id}/extend',
    method: 'POST',
    summary: 'Give an open session a later deadline; its connections stay up.',
    body: extendRequestShape,
    answers: { 200: sessionViewShape, 202: sessionViewShape },
  },
  {
    path: '/api/terminations',
    method: 'POST',
    summary: 'End all open sessions that a filter names, up to a hundred at a time.',
    body: terminateRequestShape,
    answers: { 200: terminateAnswerShape },
  },
  {
    path: '/api/locks',
    method: 'GET',
    summary: 'List the locks in force.',
    answers: { 200: lockListShape },
  },
  {
    path: '/api/locks/{id}',
    method: 'PUT',
    summary:
      'Refuse what is new and cut what is live for a caller, target, subscription, session, app or gateway.',
    body: lockRequestShape,
    answers: { 200: lockShape },
  },
  {
    path: '/api/locks/{id}',
    method: 'GET',
    summary: 'Read a lock.',
    answers: { 200: lockShape },
  },
  {
    path: '/api/locks/{id}',
    method: 'DELETE',
    summary: 'Lift a lock.',
    answers: { 204: undefined },
  },
  {
    path: '/api/targets',
    method: 'GET',
    summary: 'List what the caller may reach now.',
    query: z.strictObject({ after: z.guid().exactOptional() }),
    answers: { 200: targetListShape },
  },
  {
    path: '/api/targets/{id}',
    method: 'GET',
    summary: 'Read one target that the caller may reach now.',
    answers: { 200: targetViewShape },
  },
  ...approvalOperations,
  ...auditOperations,
  ...auditQueryOperations,
  ...feedOperations,
  ...delegationOperations,
  ...policyOperations,
  {
    path: '/api/whoami',
    method: 'GET',
    summary: 'Read what the broker believes about the caller.',
    answers: { 200: whoamiShape },
  },
  ...gatewayOperations,
  {
    path: '/.well-known/sallyport',
    method: 'GET',
    summary: 'Read what a client needs to know before it can ask.',
    isOpen: true,
    answers: { 200: discoveryShape },
  },
  {
    path: '/.well-known/jwks.json',
    method: 'GET',
    summary: 'Read the public keys of tickets (RFC 7517).',
    isOpen: true,
    answers: { 200: jwksShape },
  },
  {
    path: '/api/openapi.json',
    method: 'GET',
    summary: 'Read this document.',
    isOpen: true,
    answers: { 200: anything },
  },
  {
    path: '/api/health/live',
    method: 'GET',
    summary: 'Tell whether the process answers.',
    isOpen: true,
    answers: { 200: healthShape },
  },
  {
    path: '/api/health/ready',
    method: 'GET',
    summary: 'Tell whether a session could be granted now.',
    isOpen: true,
    answers: { 200: healthShape, 503: healthShape },
  },
];

/** Returns the OpenAPI 3.1 document of a broker. */
export function toOpenApi(url: URL): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const entry = (paths[operation.path] ??= {});
    entry[operation.method.toLowerCase()] = toOperation(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport',
      version: apiVersions[0],
      description: 'A session broker for virtual machines.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: url.origin }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

function toOperation(operation: Operation): Readonly<Record<string, unknown>> {
  const { path, summary, isOpen = false, body, answers, media = 'application/json' } = operation;
  const responses = Object.entries(answers).map(([status, shape]) => [
    status,
    shape === undefined
      ? { description: 'Done.' }
      : { description: 'Done.', content: toContent(media, shape, 'output') },
  ]);
  return {
    summary,
    security: isOpen ? [] : [{ bearer: [] }],
    parameters: [
      ...toPathParameters(path),
      ...toQueryParameters(operation.query),
      ...(operation.isConditional === true ? [ifMatch] : []),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse({}).success,
            content: toContent('application/json', body, 'input'),
          },
        }),
    responses: {
      ...Object.fromEntries(responses),
      default: {
        description: 'Refused. The code says why and the detail what to do.',
        content: toContent('application/problem+json', problemShape, 'output'),
      },
    },
  };
}

const ifMatch = { name: 'If-Match', in: 'header', required: true, schema: { type: 'string' } };

function toContent(type: string, shape: z.ZodType, io: 'input' | 'output'): object {
  return { [type]: { schema: z.toJSONSchema(shape, { target: 'draft-2020-12', io }) } };
}

function toPathParameters(path: string): readonly object[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function toQueryParameters(query: z.ZodObject | undefined): readonly object[] {
  const version = { name: 'api-version', in: 'query', schema: { enum: apiVersions } };
  const own = Object.entries(query?.shape ?? {}).map(([name, shape]) => ({
    name,
    in: 'query',
    schema: z.toJSONSchema(z.clone(shape), { io: 'input' }),
  }));
  return [version, ...own];
}
