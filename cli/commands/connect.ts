import { randomUUID } from 'node:crypto';
import { findCloseError } from '../close-sentence.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { dialGateway } from '../dial-gateway.ts';
import { stopHttp } from '../http.ts';
import { keepAlive } from '../keep-alive.ts';
import { carryStream } from '../web-socket-stream.ts';
import type { LocalEnds } from '../web-socket-stream.ts';
import { prepareWish } from '../wish.ts';
import type { WishOptions } from '../wish.ts';

// Nobody waits for the answer: the session ends at its deadline all the same.
const terminateMilliseconds = 3000;

/** The local end of `connect`, and the signal that ends it early. */
export type ConnectEnds = { readonly openEnds: () => LocalEnds; readonly signal: AbortSignal };

/**
 * Requests a session and joins standard input and output to its one connection. Terminates the session at the end, so
 * that it does not count against the caller's limit until its deadline.
 */
export async function connectTarget(
  context: Context,
  target: string,
  options: WishOptions,
  { openEnds, signal }: ConnectEnds,
): Promise<void> {
  const { client } = await openClient(stopContext(context, signal));
  const wish = await prepareWish(client, target, options);
  const id = randomUUID();
  try {
    const { endpoint, ticket } = await client.openSession(id, wish);
    const socket = await dialGateway(endpoint, ticket, context.findTrust(), signal);
    keepAlive(socket);
    const failure = findCloseError(await carryStream(socket, openEnds(), signal));
    if (failure !== undefined) throw failure;
  } finally {
    await forgetSession(context, id);
  }
}

/** Returns the context with requests that are given up when the signal aborts. */
export function stopContext(context: Context, signal: AbortSignal): Context {
  return { ...context, http: stopHttp(context.http, signal) };
}

/**
 * Terminates a session that is no longer needed, if the broker answers soon. One whose request got no answer may be
 * there all the same.
 */
export async function forgetSession(context: Context, id: string): Promise<void> {
  try {
    const soon = AbortSignal.timeout(terminateMilliseconds);
    const { client } = await openClient(stopContext(context, soon));
    await client.terminate(id);
  } catch {
    // It ends at its deadline.
  }
}
