import * as z from 'zod';
import { CommandError } from '../command-error.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';

/** Ends a session now and for good. One that has ended already is no failure. */
export async function terminateSession(context: Context, session: string): Promise<void> {
  const { settings, terminal } = context;
  if (!z.uuid().safeParse(session).success)
    throw new CommandError(exitCodes.usage, `A session's id is a UUID, unlike '${session}'.`);
  const { client } = await openClient(context);
  const view = await client.terminate(session);
  if (settings.json) return terminal.printJson(view);
  const reason = view.endReason === undefined ? '' : ` (${view.endReason})`;
  terminal.print(`Session ${view.id} to ${view.target.name} is ${view.state}${reason}.`);
}
