import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { BrokerError } from '../lib/failure.ts';
import { admit } from './admit.ts';
import type { Gateway } from './gateway.ts';
import { formatHandshake, parseHandshake } from './handshake.ts';
import { relay } from './relay.ts';
import { toClientIp } from './request.ts';

/** An upgrade request, with the socket that is the front end's from now on. */
export type Upgrade = {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** What the client sent after its request. */
  readonly head: Buffer;
};

/**
 * The front end `/connect`: a TCP stream in the binary messages of a WebSocket. Completes the handshake only when the
 * broker has redeemed the ticket and the target has accepted; rejects with the reason before.
 */
export async function connect(gateway: Gateway, { request, socket, head }: Upgrade): Promise<void> {
  const handshake = parseHandshake(request);
  checkOrigin(gateway, request.headers.origin);
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const clientIp = toClientIp(request.socket.remoteAddress);
  const visitor = { ticket: handshake.ticket, gone: gone.signal };
  const { connection, target } = await admit(gateway, {
    ...visitor,
    ...(clientIp === undefined ? {} : { clientIp }),
  });
  gateway.addresses.leave(clientIp, socket);
  const { connection: id, session } = connection.grant;
  gateway.log('connection-opened', { connection: id, session, clientIp });
  socket.write(formatHandshake(handshake));
  relay({ socket, head, target, connection, hasHalfClose: handshake.isSallyport }, gateway.log);
}

// Browsers name the page's origin and programs name none, so a page that the operator did not list gets nowhere, even
// with a ticket (RFC 6455, section 10.2).
function checkOrigin({ allowedOrigins }: Gateway, origin: string | undefined): void {
  if (origin !== undefined && !allowedOrigins.includes(origin))
    throw new BrokerError('origin-forbidden', 'Ask the operator to list the origin of this page.');
}
