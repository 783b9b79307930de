import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { PendingView } from '../../lib/approval-view.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { OperationView } from '../../lib/operation-view.ts';
import { toProblem } from '../../lib/problem.ts';
import { sessionRequestShape } from '../../lib/session-request.ts';
import type { SessionView } from '../../lib/session-view.ts';
import { closeServer, listen, serveJson } from './stand-in-server.ts';
import type { Reply, Seen, Silence } from './stand-in-server.ts';

/** The one target of the stand-in broker. */
export const vm = { id: '5a11a000-0000-4000-8000-0000000000f1', name: 'vm-one' };

/** Answers before the stand-in does, or does not answer; undefined lets it answer by itself. */
type Intercept = (seen: Seen) => Reply | Silence | undefined;

export type StandInBroker = {
  readonly url: string;
  readonly seen: Seen[];
  /** Every ticket that was handed out. */
  readonly tickets: Set<string>;
  readonly sessions: Map<string, SessionView>;
  intercept: Intercept;
  /** How a session is when it is asked for; ready when absent. */
  held?: Partial<SessionView>;
  /** Requests that wait for a decision. */
  pending: PendingView[];
  /** The service that the target offers. */
  services: { protocol: 'ssh' | 'rdp' | 'tcp'; port: number }[];
  issuer: string;
  /** What it tells clients to ask for. */
  scope: string;
  audience: string;
  close: () => Promise<void>;
};

/** Starts a broker that grants everything, at the endpoint of a stand-in gateway. */
export async function startBroker(endpoint: () => string): Promise<StandInBroker> {
  const server = createServer();
  const url = await listen(server);
  const broker: StandInBroker = {
    url,
    seen: [],
    tickets: new Set(),
    sessions: new Map(),
    intercept: () => undefined,
    pending: [],
    services: [{ protocol: 'ssh', port: 22 }],
    issuer: url,
    scope: 'api://sallyport/.default',
    audience: 'api://sallyport',
    close: async () => closeServer(server),
  };
  serveJson(server, (seen) => {
    broker.seen.push(seen);
    return broker.intercept(seen) ?? answer(broker, endpoint(), seen);
  });
  return broker;
}

/** Returns the reply that a failure of the broker is. */
export function toReply(failure: BrokerError): Reply {
  const body = toProblem(failure, 'request-1');
  return { status: body.status, body };
}

function answer(broker: StandInBroker, endpoint: string, seen: Seen): Reply {
  const [path = ''] = seen.path.split('?');
  if (path === '/.well-known/sallyport') return { status: 200, body: toDiscovery(broker) };
  if (seen.authorization === undefined)
    return toReply(new BrokerError('token-missing', 'Send a token.'));
  const things: Readonly<Record<string, () => object>> = {
    '/api/whoami': () => who,
    '/api/targets': () => ({ value: [toTarget(broker)] }),
    [`/api/targets/${vm.id}`]: () => toTarget(broker),
    '/api/sessions': () => ({ value: [...broker.sessions.values()] }),
    '/api/approvals': () => ({ value: broker.pending }),
  };
  const thing = things[path]?.();
  return thing === undefined ? answerSession(broker, endpoint, seen) : { status: 200, body: thing };
}

function answerSession(broker: StandInBroker, endpoint: string, seen: Seen): Reply {
  const [, , kind, reference = '', verb] = seen.path.split('/');
  const [id = ''] = reference.split('.');
  if (seen.method === 'PUT') return putSession(broker, endpoint, id, seen.body);
  const session = broker.sessions.get(id);
  if (session === undefined)
    return toReply(new BrokerError('not-found', 'There is no such thing.'));
  if (kind === 'operations') return toOperation(broker, reference, session);
  const answers: Readonly<Record<string, () => Reply>> = {
    terminate: () => ({ status: 200, body: end(broker, session) }),
    approval: () => decide(broker, session, seen),
    extend: () => ({ status: session.extension ? 202 : 200, body: session, headers: soon }),
    tickets: () => createTicket(broker, endpoint, session),
  };
  return answers[verb ?? '']?.() ?? { status: 200, body: session };
}

function createTicket(broker: StandInBroker, endpoint: string, { state }: SessionView): Reply {
  if (state === 'ended') return toReply(new BrokerError('session-ended', 'The session has ended.'));
  if (state === 'pendingApproval' || state === 'preparing')
    return toReply(new BrokerError('session-waiting', 'The session is not ready.'));
  return { status: 200, body: { ...issueTicket(broker), endpoint } };
}

const soon = { 'retry-after': '1' };

const statuses: Record<SessionView['state'], OperationView['status']> = {
  pendingApproval: 'Running',
  preparing: 'Running',
  ready: 'Succeeded',
  active: 'Succeeded',
  ended: 'Canceled',
  expired: 'Failed',
  denied: 'Failed',
  failed: 'Failed',
};

const outcomes = { approved: 'Succeeded', denied: 'Failed', expired: 'Failed' } as const;

function toOperation({ url }: StandInBroker, id: string, session: SessionView): Reply {
  const { createdAt, extension, state } = session;
  const outcome = extension?.outcome === undefined ? 'Running' : outcomes[extension.outcome];
  const status = id.endsWith('.extension') ? outcome : statuses[state];
  const resourceLocation = `${url}/api/sessions/${session.id}`;
  return {
    status: 200,
    body: { id, status, createdAt, resourceLocation },
    headers: soon,
  };
}

function decide(broker: StandInBroker, session: SessionView, seen: Seen): Reply {
  const request = broker.pending.find(({ id }) => id === session.id);
  if (request === undefined)
    return toReply(new BrokerError('approval-closed', 'The request has been decided.'));
  if (seen.ifMatch !== request.etag)
    return toReply(new BrokerError('request-changed', 'The request is another one by now.'));
  broker.pending = broker.pending.filter((one) => one !== request);
  const { etag, needs, durationSeconds, expiresAt } = request;
  const outcome = seen.body.includes('deny') ? 'denied' : 'approved';
  const approval = { kind: 'session', etag, needs, durationSeconds, expiresAt } as const;
  return { status: 200, body: { ...session, approval: { ...approval, votes: [], outcome } } };
}

const who = {
  id: 'tenant.ada',
  kind: 'person',
  name: 'Ada Operator',
  app: 'sallyport-cli',
  issuer: 'https://issuer.example',
  roles: [],
  groups: ['operators'],
};

function toTarget({ services }: StandInBroker): object {
  const offered = services.map((service) => ({ ...service, terms: {} }));
  return { ...vm, os: 'linux', power: 'running', services: offered };
}

function toDiscovery({ audience, issuer, scope, url }: StandInBroker): object {
  return {
    name: 'sallyport',
    version: '0.1.0',
    url,
    jwksUri: `${url}/.well-known/jwks.json`,
    openapi: `${url}/api/openapi.json`,
    apiVersions: ['2025-11-01'],
    root: {},
    login: { issuer, clientId: 'sallyport-cli', scope },
    issuers: [{ issuer, audience: [audience] }],
  };
}

function putSession(broker: StandInBroker, endpoint: string, id: string, body: string): Reply {
  const known = broker.sessions.get(id);
  if (known !== undefined) return { status: 200, body: known };
  const { protocol, port = 22 } = sessionRequestShape.parse(JSON.parse(body));
  const session = { ...createSession(id, endpoint), protocol, port, ...broker.held };
  broker.sessions.set(id, session);
  if (broker.held !== undefined) return { status: 201, body: session, headers: soon };
  return { status: 201, body: { ...session, ticket: issueTicket(broker) } };
}

/** Returns a session that has just been granted, as its caller sees it. */
export function createSession(id: string, endpoint: string): SessionView {
  return {
    id,
    state: 'ready',
    caller: { id: who.id, name: who.name },
    target: vm,
    protocol: 'ssh',
    port: 22,
    createdAt: new Date().toISOString(),
    deadline: new Date(Date.now() + 600_000).toISOString(),
    terms: {},
    decision: { policies: ['policy0'], digest: 'digest' },
    endpoint,
  };
}

function issueTicket(broker: StandInBroker): object {
  const ticket = `ticket-${randomBytes(24).toString('hex')}`;
  broker.tickets.add(ticket);
  return { ticket, form: 'jwt', expiresAt: new Date(Date.now() + 60_000).toISOString() };
}

function end(broker: StandInBroker, session: SessionView): SessionView {
  const ended: SessionView = { ...session, state: 'ended', endReason: 'terminated' };
  broker.sessions.set(session.id, ended);
  return ended;
}
