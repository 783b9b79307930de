import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BrokerError } from '../lib/failure.ts';
import { maxTicketCharacters } from '../lib/ticket.ts';

/** The subprotocol in which an empty message ends a direction. */
const subprotocol = 'sallyport.v1';

/** What a client asks for in its WebSocket handshake (RFC 6455, section 4.2.1). */
export type Handshake = {
  readonly key: string;
  /** Whether the client offers `sallyport.v1`. */
  readonly isSallyport: boolean;
  readonly ticket: string;
};

// RFC 6455, section 1.3.
const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const ticketPrefix = 'ticket.';

/** Returns what an upgrade asks for. Fails with `request-invalid`, `upgrade-required` or `ticket-invalid`. */
export function parseHandshake({ method, headers, httpVersion }: IncomingMessage): Handshake {
  if (method !== 'GET' || httpVersion !== '1.1')
    throw new BrokerError('request-invalid', 'Open a WebSocket with GET and HTTP/1.1.');
  if (headers.upgrade?.toLowerCase() !== 'websocket' || headers['sec-websocket-version'] !== '13')
    throw createUpgradeRequired();
  const key = headers['sec-websocket-key'] ?? '';
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key))
    throw new BrokerError('request-invalid', 'Send a Sec-WebSocket-Key of 16 bytes in base64.');
  const offered = toTokens(headers['sec-websocket-protocol']);
  const isSallyport = offered.includes(subprotocol);
  return { key, isSallyport, ticket: findTicket(headers.authorization, offered) };
}

/** Returns the failure for a request that is not a WebSocket handshake of version 13. */
export function createUpgradeRequired(): BrokerError {
  return new BrokerError('upgrade-required', 'Open a WebSocket of version 13 (RFC 6455).');
}

/** Returns the answer that completes the handshake. */
export function formatHandshake({ key, isSallyport }: Handshake): string {
  const accept = createHash('sha1').update(`${key}${acceptGuid}`).digest('base64');
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...(isSallyport ? [`Sec-WebSocket-Protocol: ${subprotocol}`] : []),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

// A page cannot set Authorization on a WebSocket, so it offers its ticket as a subprotocol, which is never answered.
function findTicket(authorization: string | undefined, offered: readonly string[]): string {
  const [, bearer] = /^bearer +([\w.-]+)$/i.exec(authorization ?? '') ?? [];
  const inProtocol = offered.filter((name) => name.startsWith(ticketPrefix));
  const tickets = [
    ...(authorization === undefined ? [] : [bearer ?? '']),
    ...inProtocol.map((name) => name.slice(ticketPrefix.length)),
  ];
  const [ticket = ''] = tickets;
  if (tickets.length > 1) throw new BrokerError('request-invalid', 'Send one ticket.');
  if (ticket === '' || ticket.length > maxTicketCharacters)
    throw new BrokerError('ticket-invalid', 'Send a ticket as Authorization: Bearer.');
  return ticket;
}

function toTokens(header: string | undefined): readonly string[] {
  return (header ?? '').split(',').map((name) => name.trim());
}
