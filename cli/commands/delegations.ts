import type { DelegationView } from '../../lib/delegation.ts';
import type { Context } from '../context.ts';
import { openDelegations } from '../delegation-client.ts';
import { formatTable, quote } from '../format.ts';

export type DelegationsOptions = {
  readonly given?: boolean;
  readonly received?: boolean;
  readonly all?: boolean;
};

/** Prints delegations, newest first: those given or received, as is usual for the caller, or all. */
export async function printDelegations(
  context: Context,
  options: DelegationsOptions,
): Promise<void> {
  const { settings, terminal } = context;
  const delegations = await openDelegations(context);
  const listed = await delegations.list(findSide(options));
  if (settings.json) return terminal.printJson(listed);
  if (listed.length === 0) return terminal.note('There is no such delegation.');
  const heading = ['ID', 'STATE', 'UNTIL', 'TO', 'TARGETS', 'SERVICES', 'FROM', 'PURPOSE'];
  formatTable(heading, listed.map(toRow)).forEach(terminal.print);
}

function findSide({
  given,
  received,
  all,
}: DelegationsOptions): 'giver' | 'receiver' | 'all' | undefined {
  if (all === true) return 'all';
  if (given === true) return 'giver';
  return received === true ? 'receiver' : undefined;
}

function toRow(view: DelegationView): readonly string[] {
  const { id, state, expiresAt, to, targets, services, from, purpose } = view;
  return [
    id,
    state,
    expiresAt,
    to,
    String(targets.length),
    services.map(({ protocol, port }) => `${protocol}:${port}`).join(','),
    quote(from.name),
    quote(purpose),
  ];
}
