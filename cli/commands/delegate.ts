import { randomUUID } from 'node:crypto';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { openDelegations } from '../delegation-client.ts';
import type { DelegateOptions } from '../delegation-wish.ts';
import { prepareDelegation } from '../delegation-wish.ts';

/** Lets a workload ask for sessions in the caller's name, and prints the id that it names. */
export async function giveDelegation(
  context: Context,
  workload: string,
  options: DelegateOptions,
): Promise<void> {
  const { settings, terminal, now } = context;
  const { client } = await openClient(context);
  const request = await prepareDelegation(client, workload, options, now());
  const delegations = await openDelegations(context);
  const view = await delegations.give(randomUUID(), request);
  if (settings.json) return terminal.printJson(view);
  terminal.print(view.id);
  terminal.note(`Until ${view.expiresAt} ${view.to} may act for you, with --delegation ${view.id}`);
}
