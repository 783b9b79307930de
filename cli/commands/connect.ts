import { randomUUID } from 'node:crypto';
import type { Client } from '../api-client.ts';
import { findCloseError } from '../close-sentence.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { dialGateway } from '../dial-gateway.ts';
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
  const { client } = await openClient(context);
  const wish = await prepareWish(client, target, options);
  const id = randomUUID();
  const { endpoint, ticket } = await client.openSession(id, wish);
  try {
    const socket = await dialGateway(endpoint, ticket, context.findTrust());
    keepAlive(socket);
    const failure = findCloseError(await carryStream(socket, openEnds(), signal));
    if (failure !== undefined) throw failure;
  } finally {
    await forgetSession(client, id);
  }
}

/** Terminates a session that is no longer needed, if the broker answers soon. */
export async function forgetSession(client: Client, id: string): Promise<void> {
  await client.terminate(id, terminateMilliseconds).catch(() => undefined);
}
