import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { portOf } from '../../local/free-port.ts';

// What every connection gets first, as from an SSH server.
const banner = Buffer.from('SSH-2.0-bench\r\n');

/** A target that says its banner and nothing else, so that only the way to it is measured. */
export type BannerServer = { readonly port: number; readonly close: () => Promise<void> };

/** Starts the target on loopback. */
export async function startBannerServer(): Promise<BannerServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.resume().write(banner);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: portOf(server.address()),
    close: async () => {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Joins the reader of a banner to a stream: where the bytes go, and where its early end is told. */
export type Listen = (take: (part: Buffer) => void, fail: (cause: Error) => void) => void;

/** Resolves once the whole banner has come. Rejects when other bytes come, or none any more. */
export async function receiveBanner(listen: Listen): Promise<void> {
  let received = Buffer.alloc(0);
  await new Promise<void>((resolve, reject) => {
    const take = (part: Buffer): void => {
      received = Buffer.concat([received, part]);
      if (received.equals(banner)) resolve();
      else if (!banner.subarray(0, received.length).equals(received))
        reject(new Error(`in place of the banner came ${received.toString('hex')}`));
    };
    listen(take, reject);
  });
}
