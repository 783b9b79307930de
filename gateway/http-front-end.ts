import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BrokerError } from '../lib/failure.ts';
import type { Upgrade } from './connect.ts';
import { connect } from './connect.ts';
import type { Gateway } from './gateway.ts';
import { createUpgradeRequired } from './handshake.ts';
import { describeError } from './log.ts';
import type { Refusal } from './refusal.ts';
import { refuse, toRefusal } from './refusal.ts';
import { checkHead, parsePath, toClientIp } from './request.ts';

const headMilliseconds = 10_000;
const maxHeadBytes = 16_384;

/**
 * Returns what serves HTTP on a socket: one request, whose head must be complete within 10 s. A second request on the
 * same socket is never looked at, so that none can be smuggled behind another.
 */
export function createHttpFrontEnd(gateway: Gateway): (socket: Socket) => void {
  const served = new WeakSet<Duplex>();
  const deadlines = new WeakMap<Duplex, NodeJS.Timeout>();
  const server = createServer({ maxHeaderSize: maxHeadBytes, insecureHTTPParser: false });
  const serveOnce = (socket: Duplex, serve: () => void): void => {
    if (served.has(socket)) socket.destroy();
    else serve();
    served.add(socket);
  };
  server.on('request', (request, response) =>
    serveOnce(request.socket, () => void answer(gateway, request, response)),
  );
  server.on('upgrade', (request, socket, head) =>
    serveOnce(socket, () => {
      clearTimeout(deadlines.get(socket));
      void upgrade(gateway, { request, socket, head });
    }),
  );
  server.on('clientError', refuseUnreadable);
  return (socket) => {
    // Node's own deadlines work only for sockets that its server accepted itself.
    const deadline = setTimeout(() => socket.destroy(), headMilliseconds);
    deadlines.set(socket, deadline);
    socket.once('close', () => clearTimeout(deadline));
    server.emit('connection', socket);
  };
}

async function upgrade(gateway: Gateway, { request, socket, head }: Upgrade): Promise<void> {
  // Node has taken its own listener away, and a client that hangs up must not end the process.
  socket.on('error', () => {});
  try {
    await refuseLeak(gateway, request);
    checkHead(request, true);
    const { path, hasQuery } = parsePath(request.url ?? '');
    if (path !== '/connect') throw createNotFound();
    checkQuery(hasQuery);
    await connect(gateway, { request, socket, head });
  } catch (error) {
    refuse(socket, toLoggedRefusal(gateway, request, error));
  }
}

async function answer(
  gateway: Gateway,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    await refuseLeak(gateway, request);
    checkHead(request, false);
    const { path, hasQuery } = parsePath(request.url ?? '');
    if (path === '/healthz' && request.method === 'GET') checkHealth(gateway);
    else if (path === '/connect') refusePlain(hasQuery);
    else throw createNotFound();
    response.writeHead(200, { connection: 'close', 'cache-control': 'no-store' }).end();
  } catch (error) {
    const { status, headers, body } = toLoggedRefusal(gateway, request, error);
    response.writeHead(status, { ...headers, connection: 'close' }).end(body);
  }
}

function refusePlain(hasQuery: boolean): never {
  checkQuery(hasQuery);
  throw createUpgradeRequired();
}

async function refuseLeak({ leaks }: Gateway, { url, socket }: IncomingMessage): Promise<void> {
  await leaks.refuse(url ?? '', toClientIp(socket.remoteAddress));
}

// URLs end up in the logs of every proxy on the way, so nothing in a query is ever taken for a ticket.
function checkQuery(hasQuery: boolean): void {
  if (hasQuery)
    throw new BrokerError('ticket-invalid', 'Send the ticket in Authorization, and no query.');
}

function checkHealth(gateway: Gateway): void {
  const { health } = gateway.leases;
  if (gateway.isDraining()) throw new BrokerError('gateway-draining', 'Use another gateway.');
  if (health !== 'ready') throw new BrokerError(health, 'Use another gateway.');
}

function createNotFound(): BrokerError {
  return new BrokerError('not-found', 'Connect to /connect.');
}

function toLoggedRefusal(gateway: Gateway, request: IncomingMessage, error: unknown): Refusal {
  const refusal = toRefusal(error);
  const clientIp = toClientIp(request.socket.remoteAddress);
  gateway.log('request-refused', { code: refusal.code, clientIp, cause: describeError(error) });
  return refusal;
}

function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  const isTooLong = error.code === 'HPE_HEADER_OVERFLOW';
  if (!socket.writable || error.code === 'ECONNRESET') socket.destroy();
  else refuse(socket, { status: isTooLong ? 431 : 400, headers: {}, body: '', code: '' });
}
