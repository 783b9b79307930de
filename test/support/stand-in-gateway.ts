import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { BrokerError } from '../../lib/failure.ts';
import type { Certificates } from '../../local/certificates.ts';
import { toReply } from './stand-in-broker.ts';
import { closeServer, listen } from './stand-in-server.ts';
import type { Reply } from './stand-in-server.ts';

export type StandInGateway = {
  readonly endpoint: string;
  /** Tickets in the order in which they were presented. */
  readonly presented: string[];
  /** What stands behind the gateway. */
  serve: (socket: WebSocket) => void;
  /** Refuses the upgrade instead when it returns a reply, or never answers it. */
  refuse: () => Reply | 'stay silent' | undefined;
  close: () => Promise<void>;
};

/** Starts a gateway over TLS that takes any ticket once. */
export async function startGateway(certificates: Certificates): Promise<StandInGateway> {
  const server = createServer({
    cert: readFileSync(certificates.certificate),
    key: readFileSync(certificates.key),
  });
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const { host } = new URL(await listen(server));
  const gateway: StandInGateway = {
    endpoint: `wss://${host}/connect`,
    presented: [],
    serve: (socket) => socket.close(),
    refuse: () => undefined,
    close: async () => {
      for (const client of webSockets.clients) client.terminate();
      await closeServer(server);
    },
  };
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const ticket = request.headers.authorization?.replace('Bearer ', '') ?? '';
    const isSpent = gateway.presented.includes(ticket);
    gateway.presented.push(ticket);
    const spent = isSpent
      ? toReply(new BrokerError('ticket-spent', 'Ask for another.'))
      : undefined;
    const refusal = spent ?? gateway.refuse();
    if (refusal === 'stay silent') return;
    if (refusal !== undefined) return refuseUpgrade(stream, refusal);
    webSockets.handleUpgrade(request, stream, head, (socket) => gateway.serve(socket));
  });
  return gateway;
}

function refuseUpgrade(stream: Duplex, { status, body }: Reply): void {
  const content = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} Refused`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(content)}`,
    'connection: close',
  ];
  stream.end(`${head.join('\r\n')}\r\n\r\n${content}`);
}
