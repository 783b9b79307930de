import type { SessionView } from '../../lib/session-view.ts';
import type { Extension } from '../api-client.ts';
import { parseDuration } from '../argument.ts';
import { awaitExtension, toWaitingError } from '../await-session.ts';
import type { AwaitPorts } from '../await-session.ts';
import { CommandError } from '../command-error.ts';
import { openClient, stopContext } from '../context.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { formatTime } from '../format.ts';
import { parseSessionId } from '../use-session.ts';

export type ExtendOptions = { readonly duration: string; readonly wait?: boolean };

/**
 * Asks for a later deadline of an open session, whose connections stay up, and waits where that takes an approval. The
 * request stands when the signal ends the wait.
 */
export async function extendSession(
  context: Context,
  session: string,
  options: ExtendOptions,
  signal: AbortSignal,
): Promise<void> {
  const { settings, terminal } = context;
  const id = parseSessionId(session);
  const durationSeconds = parseDuration(options.duration);
  const stopped = stopContext(context, signal);
  const { client } = await openClient(stopped);
  const opening = await client.extendSession(id, durationSeconds);
  const view = await settle({ ...stopped, client }, opening, options, signal);
  if (settings.json) return terminal.printJson(view);
  const { deadline, target } = view;
  terminal.print(
    `Session ${id} to ${target.name} may last until ${formatTime(new Date(deadline))}.`,
  );
}

async function settle(
  ports: AwaitPorts,
  opening: Extension,
  { wait }: ExtendOptions,
  signal: AbortSignal,
): Promise<SessionView> {
  const { session, isWaiting } = opening;
  if (!isWaiting) return session;
  if (wait === false) throw toWaitingError(session, 'extension', []);
  try {
    return await awaitExtension(ports, opening);
  } catch (failure) {
    if (!signal.aborted) throw failure;
    throw new CommandError(exitCodes.conflict, 'Interrupted. The request still waits.');
  }
}
