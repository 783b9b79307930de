import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { parseSessionId } from '../use-session.ts';

/** Ends a session now and for good. One that has ended already is no failure. */
export async function terminateSession(context: Context, session: string): Promise<void> {
  const { settings, terminal } = context;
  const id = parseSessionId(session);
  const { client } = await openClient(context);
  const view = await client.terminate(id);
  if (settings.json) return terminal.printJson(view);
  const reason = view.endReason === undefined ? '' : ` (${view.endReason})`;
  terminal.print(`Session ${view.id} to ${view.target.name} is ${view.state}${reason}.`);
}
