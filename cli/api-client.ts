import type * as z from 'zod';
import type { ApprovalRequest, PendingView } from '../lib/approval-view.ts';
import { pendingListShape } from '../lib/approval-view.ts';
import type { OperationView } from '../lib/operation-view.ts';
import { operationViewShape } from '../lib/operation-view.ts';
import type { sessionRequestShape } from '../lib/session-request.ts';
import {
  discoveryShape,
  sessionListShape,
  sessionViewShape,
  targetListShape,
  targetViewShape,
  ticketAnswerShape,
  whoamiShape,
} from '../lib/session-view.ts';
import type { SessionView } from '../lib/session-view.ts';
import { parseAnswer } from './api-answer.ts';
import { createExchange, jsonAccepted, sendTwice } from './api-call.ts';
import type { Call, Exchange } from './api-call.ts';
import type { GetToken } from './claims-challenge.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import type { Http, HttpReply } from './http.ts';
import { readRetryAfter } from './retry-after.ts';

export type SessionWish = z.input<typeof sessionRequestShape>;
export type TargetView = z.infer<typeof targetViewShape>;
export type TicketAnswer = z.infer<typeof ticketAnswerShape>;
export type Discovery = z.infer<typeof discoveryShape>;
type Whoami = z.infer<typeof whoamiShape>;

/** Where something that takes its time is, and how long to wait before it is asked for again. */
export type Operation = OperationView & { readonly retryAfterSeconds?: number };

/** A session that was asked for, and when to look again where that takes its time. */
export type Opening = { readonly session: SessionView; readonly retryAfterSeconds?: number };

/** A session for which more time was asked for, and whether that waits for an approval. */
export type Extension = Opening & { readonly isWaiting: boolean };

/** The calls of the broker that the commands make. Each answer has been checked against its shape. */
export type Client = {
  readonly whoami: () => Promise<Whoami>;
  readonly listTargets: () => Promise<readonly TargetView[]>;
  /** Returns undefined when there is no such target, or the caller may not reach it. */
  readonly findTarget: (id: string) => Promise<TargetView | undefined>;
  /** Requests a session under a new id that the caller of this function chose; safe to repeat. */
  readonly openSession: (id: string, wish: SessionWish) => Promise<Opening>;
  readonly readSession: (id: string) => Promise<SessionView>;
  readonly listSessions: (
    query: Readonly<Record<string, string>>,
  ) => Promise<readonly SessionView[]>;
  readonly createTicket: (session: string) => Promise<TicketAnswer>;
  readonly extendSession: (session: string, durationSeconds: number) => Promise<Extension>;
  readonly terminate: (session: string) => Promise<SessionView>;
  readonly readOperation: (id: string) => Promise<Operation>;
  /** Returns what the caller may decide, oldest first. */
  readonly listApprovals: () => Promise<readonly PendingView[]>;
  /** Decides on the request with that entity tag and on no other. */
  readonly decide: (
    { id, etag }: Pick<PendingView, 'id' | 'etag'>,
    decision: ApprovalRequest,
  ) => Promise<SessionView>;
};

// A broker that always names one more page must not hold us for ever.
const maxPages = 1000;

/** Returns what the broker tells anybody about itself. */
export async function discover(http: Http, broker: URL): Promise<Discovery> {
  const url = new URL('.well-known/sallyport', broker).href;
  const reply = await sendTwice(http, { method: 'GET', url, headers: jsonAccepted });
  return parseAnswer(reply, discoveryShape, url);
}

/** Returns a client of the broker. The token is asked for at each call, so that it can be renewed under a long one. */
export function createClient(http: Http, broker: URL, getToken: GetToken): Client {
  const exchange = createExchange(http, broker, getToken);
  const send: Send = async (call, shape) =>
    parseAnswer(await exchange(call), shape, describeCall(call));
  const get: Get = async (path, shape) => send({ method: 'GET', path }, shape);
  const post = async <T>(path: string, body: object, shape: z.ZodType<T>): Promise<T> =>
    send({ method: 'POST', path, body: JSON.stringify(body) }, shape);
  return {
    whoami: async () => get('api/whoami', whoamiShape),
    listTargets: async () => listAll(get, 'api/targets', targetListShape),
    findTarget: async (id) => findTarget(get, id),
    openSession: async (id, wish) =>
      open(exchange, { method: 'PUT', path: toSessionPath(id), body: JSON.stringify(wish) }),
    readSession: async (id) => get(toSessionPath(id), sessionViewShape),
    listSessions: async (query) =>
      listAll(get, `api/sessions?${new URLSearchParams(query).toString()}`, sessionListShape),
    createTicket: async (session) =>
      post(`${toSessionPath(session)}/tickets`, { form: 'jwt' }, ticketAnswerShape),
    extendSession: async (session, durationSeconds) => {
      const body = JSON.stringify({ durationSeconds });
      return open(exchange, { method: 'POST', path: `${toSessionPath(session)}/extend`, body });
    },
    terminate: async (session) =>
      send({ method: 'POST', path: `${toSessionPath(session)}/terminate` }, sessionViewShape),
    readOperation: async (id) => readOperation(exchange, id),
    listApprovals: async () => listAll(get, 'api/approvals', pendingListShape),
    decide: async ({ id, etag }, decision) => {
      const call: Call = {
        method: 'POST',
        path: `${toSessionPath(id)}/approval`,
        headers: { 'if-match': etag },
        body: JSON.stringify(decision),
      };
      return send(call, sessionViewShape);
    },
  };
}

type Send = <T>(call: Call, shape: z.ZodType<T>) => Promise<T>;
type Get = <T>(path: string, shape: z.ZodType<T>) => Promise<T>;

// An id may be what the user typed.
function toSessionPath(id: string): string {
  return `api/sessions/${encodeURIComponent(id)}`;
}

function describeCall({ method, path }: Call): string {
  const [named = ''] = path.replace(/^https?:\/\/[^/]*\//, '').split('?');
  return `${method} /${named}`;
}

async function readOperation(exchange: Exchange, id: string): Promise<Operation> {
  const call: Call = { method: 'GET', path: `api/operations/${encodeURIComponent(id)}` };
  const reply = await exchange(call);
  return { ...parseAnswer(reply, operationViewShape, describeCall(call)), ...readPause(reply) };
}

async function open(exchange: Exchange, call: Call): Promise<Extension> {
  const reply = await exchange(call);
  const session = parseAnswer(reply, sessionViewShape, describeCall(call));
  return { session, isWaiting: reply.status === 202, ...readPause(reply) };
}

function readPause({ headers }: HttpReply): { readonly retryAfterSeconds?: number } {
  const retryAfterSeconds = readRetryAfter(headers);
  return retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
}

async function findTarget(get: Get, id: string): Promise<TargetView | undefined> {
  try {
    return await get(`api/targets/${encodeURIComponent(id)}`, targetViewShape);
  } catch (failure) {
    if (failure instanceof CommandError && failure.exitCode === exitCodes.notFound)
      return undefined;
    throw failure;
  }
}

type Page<T> = { readonly value: readonly T[]; readonly nextLink?: string | undefined };

async function listAll<T>(
  get: Get,
  first: string,
  shape: z.ZodType<Page<T>>,
): Promise<readonly T[]> {
  const all: T[] = [];
  let path: string | undefined = first;
  for (let pages = 0; path !== undefined && pages < maxPages; pages += 1) {
    const page: Page<T> = await get(path, shape);
    all.push(...page.value);
    path = page.nextLink;
  }
  return all;
}
