import * as z from 'zod';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { openDelegations } from '../delegation-client.ts';
import { exitCodes } from '../exit-code.ts';

/** Revokes a delegation, and with it ends what is open under it. One that is revoked already is no failure. */
export async function revokeDelegation(context: Context, text: string): Promise<void> {
  const { settings, terminal } = context;
  if (!z.uuid().safeParse(text).success)
    throw new CommandError(exitCodes.usage, `A delegation's id is a UUID, unlike '${text}'.`);
  const id = text.toLowerCase();
  const delegations = await openDelegations(context);
  await delegations.revoke(id);
  if (settings.json) return terminal.printJson({ id, state: 'revoked' });
  terminal.print(`The delegation ${id} is revoked.`);
}
