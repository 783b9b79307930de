import { findCloseError } from '../close-sentence.ts';
import type { Context } from '../context.ts';
import { dialGateway } from '../dial-gateway.ts';
import { keepAlive } from '../keep-alive.ts';
import { useSession } from '../use-session.ts';
import type { SessionOptions } from '../use-session.ts';
import { carryStream } from '../web-socket-stream.ts';
import type { LocalEnds } from '../web-socket-stream.ts';

/** The local end of `connect`, and the signal that ends it early. */
export type ConnectEnds = { readonly openEnds: () => LocalEnds; readonly signal: AbortSignal };

/**
 * Joins standard input and output to the one connection of a new session, or to one of a session that is there. Terminates
 * a new session at the end, so that it does not count against the caller's limit until its deadline.
 */
export async function connectTarget(
  context: Context,
  target: string,
  options: SessionOptions,
  { openEnds, signal }: ConnectEnds,
): Promise<void> {
  const use = { target, options, words: `connect ${target}`, signal };
  await useSession(context, use, async ({ client, session, ticket: first }) => {
    const { endpoint, ticket } = first ?? (await client.createTicket(session.id));
    const socket = await dialGateway(endpoint, ticket, context.findTrust(), signal);
    keepAlive(socket);
    const failure = findCloseError(await carryStream(socket, openEnds(), signal));
    if (failure !== undefined) throw failure;
  });
}
