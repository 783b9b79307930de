import type * as z from 'zod';
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
import { CommandError, UnreachableError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import type { Http, HttpReply, HttpRequest } from './http.ts';

export type SessionWish = z.input<typeof sessionRequestShape>;
export type TargetView = z.infer<typeof targetViewShape>;
type TicketAnswer = z.infer<typeof ticketAnswerShape>;
export type Discovery = z.infer<typeof discoveryShape>;
type Whoami = z.infer<typeof whoamiShape>;

/** A session that was just requested, with a ticket for its first connection. */
export type OpenedSession = {
  readonly session: SessionView;
  readonly endpoint: string;
  readonly ticket: string;
};

/** The calls of the broker that the commands make. Each answer has been checked against its shape. */
export type Client = {
  readonly whoami: () => Promise<Whoami>;
  readonly listTargets: () => Promise<readonly TargetView[]>;
  /** Returns undefined when there is no such target, or the caller may not reach it. */
  readonly findTarget: (id: string) => Promise<TargetView | undefined>;
  /** Requests a session under a new id that the caller of this function chose; safe to repeat. */
  readonly openSession: (id: string, wish: SessionWish) => Promise<OpenedSession>;
  readonly listSessions: (
    query: Readonly<Record<string, string>>,
  ) => Promise<readonly SessionView[]>;
  readonly createTicket: (session: string) => Promise<TicketAnswer>;
  readonly terminate: (session: string) => Promise<SessionView>;
};

// A broker that always names one more page must not hold us for ever.
const maxPages = 1000;

const json = { accept: 'application/problem+json, application/json' };
const jsonBody = { ...json, 'content-type': 'application/json' };

/** Returns what the broker tells anybody about itself. */
export async function discover(http: Http, broker: URL): Promise<Discovery> {
  const url = new URL('.well-known/sallyport', broker).href;
  const reply = await sendTwice(http, { method: 'GET', url, headers: json });
  return parseAnswer(reply, discoveryShape, url);
}

/** Returns a client of the broker. The token is asked for at each call, so that it can be renewed under a long one. */
export function createClient(http: Http, broker: URL, getToken: () => Promise<string>): Client {
  const send: Send = async ({ path, ...request }, shape) => {
    const url = new URL(path, broker);
    // INVARIANT: a token goes to the broker alone, whatever a `nextLink` says.
    if (url.origin !== broker.origin)
      throw new CommandError(
        exitCodes.unexpected,
        `The broker refers to another host, ${url.host}.`,
      );
    const authorization = `Bearer ${await getToken()}`;
    const headers = { ...(request.body === undefined ? json : jsonBody), authorization };
    const reply = await sendTwice(http, { ...request, url: url.href, headers });
    return parseAnswer(reply, shape, `${request.method} ${url.pathname}`);
  };
  const createTicket = async (session: string): Promise<TicketAnswer> =>
    send(
      { method: 'POST', path: `api/sessions/${session}/tickets`, body: '{"form":"jwt"}' },
      ticketAnswerShape,
    );
  return {
    whoami: async () => send({ method: 'GET', path: 'api/whoami' }, whoamiShape),
    listTargets: async () => listAll(send, 'api/targets', targetListShape),
    findTarget: async (id) => findTarget(send, id),
    openSession: async (id, wish) => openSession(send, createTicket, id, wish),
    listSessions: async (query) =>
      listAll(send, `api/sessions?${new URLSearchParams(query).toString()}`, sessionListShape),
    createTicket,
    terminate: async (session) =>
      send({ method: 'POST', path: `api/sessions/${session}/terminate` }, sessionViewShape),
  };
}

type Call = Omit<HttpRequest, 'url' | 'headers'> & { readonly path: string };
type Send = <T>(call: Call, shape: z.ZodType<T>) => Promise<T>;

// Each call may be repeated: a PUT carries its id, a termination is final, a second ticket harms nobody.
async function sendTwice(http: Http, request: HttpRequest): Promise<HttpReply> {
  try {
    return await http(request);
  } catch (failure) {
    if (!(failure instanceof UnreachableError)) throw failure;
    return http(request);
  }
}

async function openSession(
  send: Send,
  createTicket: Client['createTicket'],
  id: string,
  wish: SessionWish,
): Promise<OpenedSession> {
  const call: Call = { method: 'PUT', path: `api/sessions/${id}`, body: JSON.stringify(wish) };
  const session = await send(call, sessionViewShape);
  // The answer to a repeated request has no ticket: the first one may have been read by then.
  const { ticket } = session.ticket ?? (await createTicket(id));
  return { session, endpoint: session.endpoint, ticket };
}

async function findTarget(send: Send, id: string): Promise<TargetView | undefined> {
  try {
    const path = `api/targets/${encodeURIComponent(id)}`;
    return await send({ method: 'GET', path }, targetViewShape);
  } catch (failure) {
    if (failure instanceof CommandError && failure.exitCode === exitCodes.notFound)
      return undefined;
    throw failure;
  }
}

type Page<T> = { readonly value: readonly T[]; readonly nextLink?: string | undefined };

async function listAll<T>(
  send: Send,
  first: string,
  shape: z.ZodType<Page<T>>,
): Promise<readonly T[]> {
  const all: T[] = [];
  let path: string | undefined = first;
  for (let pages = 0; path !== undefined && pages < maxPages; pages += 1) {
    const page: Page<T> = await send({ method: 'GET', path }, shape);
    all.push(...page.value);
    path = page.nextLink;
  }
  return all;
}
