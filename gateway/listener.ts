import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { SecureContextOptions, Server } from 'node:tls';
import { createServer } from 'node:tls';
import type { AddressLimit } from './address-limit.ts';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import { loadWatched } from './watched-files.ts';

/** One protocol of the one port. */
export type FrontEnd = {
  /** The first bytes by which a connection is known; the front end with an empty prefix gets all others. */
  readonly prefix: string;
  readonly serve: (socket: Socket) => void;
};

const handshakeMilliseconds = 10_000;
const firstByteMilliseconds = 10_000;
const keepAliveMilliseconds = 30_000;

/**
 * Returns the TLS server (1.2 or later) that hands each connection to the front end that its first bytes name. The
 * certificate is read again when its files change; open connections keep theirs.
 */
export function createListener(
  { tls, maxConnections }: Pick<Config, 'tls' | 'maxConnections'>,
  frontEnds: readonly FrontEnd[],
  addresses: AddressLimit,
  log: Log,
): Server {
  const server = createServer({
    ...readCertificate(tls),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: handshakeMilliseconds,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMilliseconds,
  });
  // Room for as many that are still shaking hands, or being refused.
  server.maxConnections = maxConnections * 2;
  server.on('connection', (socket: Socket) => {
    if (!addresses.enter(socket)) socket.destroy();
  });
  const reload = (): void => server.setSecureContext(readCertificate(tls));
  loadWatched([tls.certificateFile, tls.keyFile], reload, log);
  // A TLS server only tells of a handshake that failed or took too long; it leaves the socket open.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('secureConnection', (socket) => sniff(socket, frontEnds));
  return server;
}

function readCertificate(tls: Config['tls']): SecureContextOptions {
  const cert = readFileSync(tls.certificateFile);
  return { cert, key: readFileSync(tls.keyFile), minVersion: 'TLSv1.2' };
}

// node:http cannot parse every protocol that has to share the port, so the first bytes are looked at before it is
// given the socket, and then put back.
function sniff(socket: Socket, frontEnds: readonly FrontEnd[]): void {
  let seen = Buffer.alloc(0);
  const ignore = (): void => {};
  const deadline = setTimeout(() => socket.destroy(), firstByteMilliseconds);
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    const frontEnd = findFrontEnd(seen, frontEnds);
    if (frontEnd === undefined) return;
    clearTimeout(deadline);
    socket.off('data', look).off('error', ignore).pause();
    socket.unshift(seen);
    frontEnd.serve(socket);
    process.nextTick(() => socket.resume());
  };
  socket.on('data', look).on('error', ignore);
  socket.once('close', () => clearTimeout(deadline));
}

/** Returns the front end for these first bytes; undefined while they may still become a prefix. */
function findFrontEnd(seen: Buffer, frontEnds: readonly FrontEnd[]): FrontEnd | undefined {
  const text = seen.toString('latin1');
  const mayCome = frontEnds.some(
    ({ prefix }) => prefix.length > text.length && prefix.startsWith(text),
  );
  return mayCome ? undefined : frontEnds.find(({ prefix }) => text.startsWith(prefix));
}
