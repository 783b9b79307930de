import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type { SessionView } from '../../lib/session-view.ts';
import { parsePort } from '../argument.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { Tunnel } from '../tunnel.ts';
import { describeTunnelEvent } from '../tunnel-event.ts';
import type { TunnelEvent } from '../tunnel-event.ts';
import { useSession } from '../use-session.ts';
import type { SessionOptions } from '../use-session.ts';

export type TunnelOptions = SessionOptions & { readonly local?: string };

// Nobody else on the network may use the session.
const address = '127.0.0.1';

/**
 * Listens on this machine and joins each local connection to one of the target, in one session, until the signal or the
 * end of the session, which the broker and the gateway tell. Terminates the session at the end unless it is to be kept.
 */
export async function runTunnel(
  context: Context,
  target: string,
  options: TunnelOptions,
  signal: AbortSignal,
): Promise<void> {
  const local = parsePort(options.local ?? '0', 0);
  const report = createReporter(context);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  let tunnel: Tunnel | undefined;
  server.on('connection', (socket) => {
    if (tunnel === undefined) socket.destroy();
    else tunnel.accept(socket);
  });
  // Before there is a session, so that a port which is taken costs none.
  const port = await listen(server, local);
  const words = `tunnel ${target}${local === 0 ? '' : ` --local ${local}`}`;
  const use = { target, options: withProtocol(options), words, signal };
  try {
    await useSession(context, use, async ({ client, session }) => {
      tunnel = new Tunnel({ client, trust: context.findTrust(), session: session.id, report });
      report(toListening(session, port));
      try {
        await waitForEnd(tunnel, signal);
      } finally {
        server.close();
        await tunnel.close();
        report({ event: 'ended', session: session.id });
      }
    });
  } finally {
    server.close();
  }
}

// RDP is what a tunnel is mostly for; any other port is plain TCP.
function withProtocol(options: TunnelOptions): SessionOptions {
  if (options.protocol !== undefined) return options;
  const isRdp = options.port === undefined || options.port === '3389';
  return { ...options, protocol: isRdp ? 'rdp' : 'tcp' };
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const sentence = `Port ${port} of this machine cannot be used. Choose another with --local, or 0 for a free one.`;
      reject(new CommandError(exitCodes.usage, sentence, { cause }));
    });
    server.listen(port, address, resolve);
  });
  const bound = server.address();
  return bound === null || typeof bound === 'string' ? port : bound.port;
}

// Not until the deadline: the session may be extended meanwhile.
async function waitForEnd(tunnel: Tunnel, signal: AbortSignal): Promise<void> {
  const interrupted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([interrupted, tunnel.over]);
}

function createReporter({ settings, terminal }: Context): (event: TunnelEvent) => void {
  if (settings.json) return terminal.printJson;
  return (event) => {
    const line = describeTunnelEvent(event);
    if (event.event === 'listening') terminal.print(line);
    else terminal.note(line);
  };
}

function toListening(session: SessionView, port: number): TunnelEvent {
  const { id, target, protocol, deadline } = session;
  const service = `${protocol}:${session.port}`;
  return { event: 'listening', address, port, session: id, target: target.name, service, deadline };
}
