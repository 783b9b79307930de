import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { portOf } from '../../local/free-port.ts';

/** A TCP server on loopback that sends back what it gets, and counts who came. */
export type EchoServer = {
  readonly port: number;
  readonly connections: () => number;
  readonly close: () => Promise<void>;
};

export async function startEchoServer(): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    count += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: portOf(server.address()),
    connections: () => count,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
