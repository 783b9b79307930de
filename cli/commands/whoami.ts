import { openClient } from '../context.ts';
import type { Context } from '../context.ts';

/** Prints what the broker believes about the caller. */
export async function printCaller(context: Context): Promise<void> {
  const { settings, terminal } = context;
  const { client } = await openClient(context);
  const who = await client.whoami();
  if (settings.json) return terminal.printJson(who);
  terminal.print(`${who.name} (${who.kind})`);
  terminal.print(`id      ${who.id}`);
  const { onBehalfOf } = who;
  if (onBehalfOf !== undefined) terminal.print(`for     ${onBehalfOf.name} (${onBehalfOf.id})`);
  terminal.print(`issuer  ${who.issuer}`);
  terminal.print(`app     ${who.app}`);
  terminal.print(`roles   ${who.roles.join(', ') || 'none'}`);
  terminal.print(
    `groups  ${who.groups === 'unknown' ? 'unknown' : who.groups.join(', ') || 'none'}`,
  );
}
