import type { Socket } from 'node:net';
import type { Client } from './api-client.ts';
import { findCloseError, isSessionEnd } from './close-sentence.ts';
import { CommandError } from './command-error.ts';
import { dialGateway } from './dial-gateway.ts';
import { exitCodes } from './exit-code.ts';
import { keepAlive } from './keep-alive.ts';
import { isOwnPeer } from './local-peer.ts';
import type { TcpEnd } from './local-peer.ts';
import type { Trust } from './trust.ts';
import type { TunnelEvent } from './tunnel-event.ts';
import { carryStream } from './web-socket-stream.ts';
import type { Outcome } from './web-socket-stream.ts';

/** What the connections of one tunnel share. */
export type TunnelPorts = {
  readonly client: Pick<Client, 'createTicket'>;
  readonly trust: Trust;
  readonly session: string;
  readonly report: (event: TunnelEvent) => void;
};

// Codes of problems after which no ticket of this session will ever be given again.
const finalCodes: ReadonlySet<string | undefined> = new Set([
  'not-found',
  'session-ended',
  'target-changed',
]);

/** The local connections of one session, each with a ticket and a WebSocket of its own, until the tunnel is closed. */
export class Tunnel {
  /** Rejects with the reason when the session itself is over. It never resolves. */
  readonly over: Promise<never>;
  readonly #ports: TunnelPorts;
  readonly #closing = new AbortController();
  readonly #connections = new Set<Promise<void>>();
  #reject: (reason: CommandError) => void = () => undefined;
  #count = 0;

  constructor(ports: TunnelPorts) {
    this.#ports = ports;
    this.over = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // It may reject when nobody waits for it any more.
    this.over.catch(() => undefined);
  }

  /** Takes a local connection that has not been read from. Never fails: what goes wrong is reported. */
  accept(socket: Socket): void {
    this.#count += 1;
    const connection = this.#serve(socket, this.#count).finally(() => {
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
  }

  /** Closes every connection, and resolves when all have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#connections);
  }

  async #serve(socket: Socket, connection: number): Promise<void> {
    // Before the bytes are carried there is nobody else to hear it.
    socket.on('error', () => undefined);
    try {
      await refuseOthers(socket);
      const outcome = await this.#carry(socket, connection);
      const failure = findCloseError(outcome);
      const { bytesDown, bytesUp } = outcome;
      const error = failure === undefined ? {} : { error: failure.message };
      this.#ports.report({ event: 'closed', connection, bytesUp, bytesDown, ...error });
      if (failure !== undefined && isSessionEnd(outcome)) this.#reject(failure);
    } catch (cause) {
      socket.resetAndDestroy();
      this.#reportRefusal(connection, cause);
    }
  }

  async #carry(socket: Socket, connection: number): Promise<Outcome> {
    const { client, report, session, trust } = this.#ports;
    const { endpoint, ticket } = await client.createTicket(session);
    const webSocket = await dialGateway(endpoint, ticket, trust, this.#closing.signal);
    report({ event: 'opened', connection });
    keepAlive(webSocket);
    const cut = (): void => {
      socket.resetAndDestroy();
    };
    return carryStream(webSocket, { input: socket, output: socket, cut }, this.#closing.signal);
  }

  #reportRefusal(connection: number, cause: unknown): void {
    if (!(cause instanceof CommandError)) {
      this.#ports.report({ event: 'refused', connection, error: String(cause) });
      return;
    }
    const error = [cause.message, ...cause.notes].join(' ');
    this.#ports.report({ event: 'refused', connection, error });
    if (finalCodes.has(cause.code)) this.#reject(cause);
  }
}

async function refuseOthers(socket: Socket): Promise<void> {
  const local = toEnd(socket.localAddress, socket.localPort);
  const remote = toEnd(socket.remoteAddress, socket.remotePort);
  if (local !== undefined && remote !== undefined && (await isOwnPeer({ local, remote }))) return;
  throw new CommandError(
    exitCodes.denied,
    'The local connection is not of your own user, or was gone at once.',
  );
}

function toEnd(address: string | undefined, port: number | undefined): TcpEnd | undefined {
  return address === undefined || port === undefined ? undefined : { address, port };
}
