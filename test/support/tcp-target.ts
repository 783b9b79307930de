import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';

/** A TCP server of a test, in the place of a target. */
export class TcpTarget {
  readonly sockets: Socket[] = [];
  readonly #server: Server;

  private constructor(serve: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket);
      socket.on('error', () => {});
      serve(socket);
    });
  }

  static async start(serve: (socket: Socket) => void): Promise<TcpTarget> {
    const target = new TcpTarget(serve);
    target.#server.listen(0, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  /** Resolves with the nth connection, made already or still to come. */
  async socket(n = 0): Promise<Socket> {
    while (this.sockets[n] === undefined) await once(this.#server, 'connection');
    return this.sockets[n];
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
