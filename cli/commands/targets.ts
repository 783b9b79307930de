import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { formatTable } from '../format.ts';

/** Prints what the caller may reach now. */
export async function printTargets(context: Context): Promise<void> {
  const { settings, terminal } = context;
  const { client } = await openClient(context);
  const targets = await client.listTargets();
  if (settings.json) return terminal.printJson(targets);
  if (targets.length === 0) return terminal.note('You can reach no target now.');
  const rows = targets.map(({ id, name, os, power, services }) => [
    name,
    id,
    os,
    power,
    services.map(({ protocol, port }) => `${protocol}:${port}`).join(' '),
  ]);
  formatTable(['NAME', 'ID', 'OS', 'POWER', 'SERVICES'], rows).forEach(terminal.print);
}
