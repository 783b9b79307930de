import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { Server } from 'node:tls';
import * as z from 'zod';
import { createDialRule } from '../lib/address.ts';
import type { TokenVerifier } from '../lib/endorsed-token.ts';
import type { TrustedRoots } from '../lib/root-key.ts';
import { publicJwkShape, toTrustedRoots } from '../lib/root-key.ts';
import { AddressLimit } from './address-limit.ts';
import { createBrokerClient } from './broker-client.ts';
import { Capacity } from './capacity.ts';
import type { Config } from './config.ts';
import { createHttpFrontEnd } from './http-front-end.ts';
import { Leaks } from './leaks.ts';
import { Leases } from './leases.ts';
import { createListener } from './listener.ts';
import type { Log } from './log.ts';
import { Probes } from './probes.ts';
import { createTokenSource } from './token-source.ts';
import { loadWatched } from './watched-files.ts';

/** A gateway that listens. */
export type RunningGateway = {
  /**
   * Refuses what is new, lets live connections run up to the drain time, then closes them, and resolves when every
   * close has been reported, or has been tried to.
   */
  readonly drain: () => Promise<void>;
};

const rootKeysShape = z.object({ keys: z.array(publicJwkShape).min(1) });
const closeSeconds = 6;
const maxHandles = 64;
const maxHandlesPerAddress = 16;

/** Starts a gateway. Rejects when a file cannot be read or the address is taken. */
export async function startGateway(config: Config, log: Log): Promise<RunningGateway> {
  const instance = randomUUID();
  const tokens = createTokenSource(config.token, fetch);
  const broker = createBrokerClient(config.broker, instance, tokens, fetch);
  const verifier = createVerifier(config, log);
  const mayDial = createDialRule(config.allowedNetworks);
  const handles = createHandleCapacity(config);
  const probes = new Probes({ verifier, mayDial, report: broker.probe, log });
  const leases = new Leases(broker, instance, log, (tokens) => probes.take(tokens));
  const capacity = createConnectionCapacity(config);
  const addresses = new AddressLimit(Math.ceil(config.maxConnections / 2));
  let isDraining = false;
  const serve = createHttpFrontEnd({
    verifier,
    mayDial,
    allowedOrigins: config.allowedOrigins,
    broker,
    leases,
    leaks: new Leaks({ verifier, handles, report: broker.leak, log }),
    capacity,
    addresses,
    handles,
    isDraining: () => isDraining,
    log,
  });
  const server = createListener(config, [{ prefix: '', serve }], addresses, log);
  server.listen(config.listen);
  await once(server, 'listening');
  log('listening', { url: toUrl(server), instance });
  void leases.renew();
  return {
    drain: async () => {
      isDraining = true;
      log('draining', { seconds: config.drainSeconds });
      // Not only what is live: a redemption under way becomes a connection whose close has to be reported.
      await withinSeconds(config.drainSeconds, capacity.whenEmpty());
      leases.cutAll('gateway-drained');
      await capacity.whenEmpty();
      await Promise.all([leases.stop(), closeServer(server)]);
      log('drained');
    },
  };
}

function createConnectionCapacity({ maxConnections, maxConnectionsPerCaller }: Config): Capacity {
  const advice = `One caller may hold ${maxConnectionsPerCaller} connections at a gateway. Close some first.`;
  return new Capacity(maxConnections, maxConnectionsPerCaller, advice);
}

// Anyone can send what looks like a handle, so handles that are being redeemed never fill the gateway.
function createHandleCapacity({ maxConnections }: Config): Capacity {
  const max = Math.min(maxHandles, Math.ceil(maxConnections / 4));
  return new Capacity(max, maxHandlesPerAddress, 'Try again in a few seconds.');
}

function createVerifier(config: Config, log: Log): () => TokenVerifier {
  const roots = watchRoots(config.rootKeysFile, log);
  return () => ({ roots: roots(), issuer: config.issuer, gateway: config.gateway });
}

function watchRoots(file: string, log: Log): () => TrustedRoots {
  let roots: TrustedRoots = new Map();
  const load = (): void => {
    roots = toTrustedRoots(rootKeysShape.parse(JSON.parse(readFileSync(file, 'utf8'))).keys);
  };
  loadWatched([file], load, log);
  return () => roots;
}

function toUrl(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the server has no port');
  const host = isIPv6(bound.address) ? `[${bound.address}]` : bound.address;
  return `wss://${host}:${bound.port}/connect`;
}

/** Resolves when the work is done, or when the time is up. */
async function withinSeconds(seconds: number, work: Promise<void>): Promise<void> {
  const time = Promise.withResolvers<void>();
  const timer = setTimeout(time.resolve, seconds * 1000);
  await Promise.race([work, time.promise]);
  clearTimeout(timer);
}

// Each connection takes up to five seconds for the client to answer its Close.
async function closeServer(server: Server): Promise<void> {
  server.close();
  await withinSeconds(
    closeSeconds,
    once(server, 'close').then(() => {}),
  );
}
