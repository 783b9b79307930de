import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { SessionView } from '../lib/session-view.ts';
import type { Client, Opening, TicketAnswer } from './api-client.ts';
import { awaitSession, isWaiting, toWaitingError } from './await-session.ts';
import { CommandError } from './command-error.ts';
import { openClient, stopContext } from './context.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-code.ts';
import { findTarget, parseTargetName } from './find-target.ts';
import { prepareWish } from './wish.ts';
import type { WishOptions } from './wish.ts';

/** The options of every command that uses a session, as they were typed. */
export type SessionOptions = WishOptions & {
  /** False with `--no-wait`. */
  readonly wait?: boolean;
  /** The id of a session that is there already. */
  readonly session?: string;
  /** Terminates that session at the end. */
  readonly end?: boolean;
  /** Does not terminate a session that was asked for here. */
  readonly keep?: boolean;
};

/** What is to be used, and how to say that it goes on later. */
export type SessionUse = {
  readonly target: string;
  readonly options: SessionOptions;
  /** The words of this command, for the user to repeat them. */
  readonly words: string;
};

/** A session that is ready, and the ticket that came with it. */
export type ReadySession = {
  readonly client: Client;
  readonly session: SessionView;
  readonly ticket?: Pick<TicketAnswer, 'endpoint' | 'ticket'>;
};

// Nobody waits for the answer: the session ends at its deadline all the same.
const terminateMilliseconds = 3000;

/**
 * Runs the work with a session that is ready: a new one, for which it waits, or the one that the options name. Terminates
 * a new one at the end, also when it was not waited for to the end.
 */
export async function useSession<T>(
  context: Context,
  use: SessionUse & { readonly signal: AbortSignal },
  work: (ready: ReadySession) => Promise<T>,
): Promise<T> {
  const { options, signal } = use;
  const stopped = stopContext(context, signal);
  const { client } = await openClient(stopped);
  const asked = await prepareUse(client, use);
  let isKept = options.session !== undefined && options.end !== true;
  try {
    const ready = await awaitReady({ ...stopped, client }, use, await asked.open());
    if (options.keep === true) isKept = true;
    return await work(ready);
  } catch (failure) {
    if (failure instanceof CommandError && failure.exitCode === exitCodes.waiting) isKept = true;
    throw failure;
  } finally {
    if (!isKept) await forgetSession(context, asked.id);
  }
}

/** Returns the id of a session that is ready at once. Fails with `waiting` where it is not, and leaves it as it is. */
export async function openWithoutWaiting(context: Context, use: SessionUse): Promise<string> {
  const { client } = await openClient(context);
  const asked = await prepareUse(client, use);
  const opening = await asked.open();
  if (isWaiting(opening.session)) throw toLater(context, opening.session, use.words);
  await awaitSession({ ...context, client }, opening);
  return asked.id;
}

/** Returns the id in lower case, or fails with a usage error. */
export function parseSessionId(text: string): string {
  if (z.uuid().safeParse(text).success) return text.toLowerCase();
  throw new CommandError(exitCodes.usage, `A session's id is a UUID, unlike '${text}'.`);
}

type Asked = { readonly id: string; readonly open: () => Promise<Opening> };

async function prepareUse(client: Client, { options, target }: SessionUse): Promise<Asked> {
  if (options.session === undefined) {
    const wish = await prepareWish(client, target, options);
    const id = randomUUID();
    return { id, open: async () => client.openSession(id, wish) };
  }
  const id = parseSessionId(options.session);
  const session = await client.readSession(id);
  await requireTarget(client, target, session);
  // Nothing was asked for, so there is nothing to give time to.
  return { id, open: async () => Promise.resolve({ session, retryAfterSeconds: 1 }) };
}

type ReadyPorts = Context & { readonly client: Client };

async function awaitReady(
  ports: ReadyPorts,
  { options, signal, words }: SessionUse & { readonly signal: AbortSignal },
  opening: Opening,
): Promise<ReadySession> {
  const { client } = ports;
  if (!isWaiting(opening.session)) return toReady(client, await awaitSession(ports, opening));
  if (options.wait === false) throw toLater(ports, opening.session, words);
  try {
    return { client, session: await awaitSession(ports, opening) };
  } catch (failure) {
    if (!signal.aborted) throw failure;
    const fate = options.session === undefined ? 'is withdrawn' : 'still waits';
    throw new CommandError(exitCodes.conflict, `Interrupted. The request ${fate}.`);
  }
}

function toReady(client: Client, session: SessionView): ReadySession {
  const { endpoint, ticket } = session;
  return {
    client,
    session,
    ...(ticket === undefined ? {} : { ticket: { endpoint, ticket: ticket.ticket } }),
  };
}

// Somebody who mistakes one session for another must not type a password into the wrong machine.
async function requireTarget(client: Client, text: string, session: SessionView): Promise<void> {
  const name = parseTargetName(text);
  const { target } = session;
  const isNamed = name.kind === 'name' && name.text.toLowerCase() === target.name.toLowerCase();
  if (isNamed || (name.kind === 'id' && name.text === target.id)) return;
  if (name.kind === 'arm' && (await findTarget(client, name)).reference === target.id) return;
  throw new CommandError(
    exitCodes.usage,
    `The session ${session.id} is to ${target.name} (${target.id}), not to ${text}.`,
  );
}

function toLater(
  { settings, terminal }: Context,
  session: SessionView,
  words: string,
): CommandError {
  const { deadline, id, state, target } = session;
  if (settings.json)
    terminal.printJson({
      event: 'waiting',
      session: id,
      state,
      target: target.name,
      until: deadline,
    });
  return toWaitingError(session, 'session', [`go on: sallyport ${words} --session ${id}`]);
}

/**
 * Terminates a session that is no longer needed, if the broker answers soon. One whose request got no answer may be
 * there all the same.
 */
async function forgetSession(context: Context, id: string): Promise<void> {
  try {
    const soon = AbortSignal.timeout(terminateMilliseconds);
    const { client } = await openClient(stopContext(context, soon));
    await client.terminate(id);
  } catch {
    // It ends at its deadline.
  }
}
