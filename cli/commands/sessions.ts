import type { SessionView } from '../../lib/session-view.ts';
import { sessionStates } from '../../lib/session-view.ts';
import { isWaiting } from '../await-session.ts';
import { CommandError } from '../command-error.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { formatTable } from '../format.ts';

export type SessionsOptions = {
  readonly status?: string;
  readonly all?: boolean;
  readonly target?: string;
  readonly caller?: string;
  readonly onBehalfOf?: string;
};

// No session lasts longer than a day; twice that leaves room for one that was extended.
const openDaysMilliseconds = 2 * 86_400_000;

/** Prints the caller's open sessions, those in one state, or all. */
export async function printSessions(context: Context, options: SessionsOptions): Promise<void> {
  const { settings, terminal, now } = context;
  const query = toQuery(options, now());
  const { client } = await openClient(context);
  const listed = await client.listSessions(query);
  const isWanted = options.all === true || options.status !== undefined;
  const sessions = isWanted ? listed : listed.filter(isOpen);
  if (settings.json) return terminal.printJson(sessions);
  if (sessions.length === 0) return terminal.note('There is no such session.');
  const heading = ['ID', 'STATE', 'TARGET', 'PROTOCOL', 'CALLER', 'CREATED', 'DEADLINE'];
  formatTable(heading, sessions.map(toRow)).forEach(terminal.print);
}

/** Returns the query of `GET /api/sessions` that the options mean, or fails with a usage error. */
export function toQuery(options: SessionsOptions, now: Date): Readonly<Record<string, string>> {
  const { all, status, target, caller, onBehalfOf } = options;
  if (status !== undefined && !sessionStates.some((state) => state === status))
    throw new CommandError(
      exitCodes.usage,
      `The status is ${sessionStates.join(', ')}, not '${status}'.`,
    );
  const isEverything = all === true || status !== undefined;
  const from = new Date(now.getTime() - openDaysMilliseconds).toISOString();
  return {
    ...(status === undefined ? {} : { status }),
    ...(target === undefined ? {} : { target }),
    ...(caller === undefined ? {} : { caller }),
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(isEverything ? {} : { from }),
  };
}

function isOpen(session: SessionView): boolean {
  return session.state === 'ready' || session.state === 'active' || isWaiting(session);
}

function toRow(session: SessionView): readonly string[] {
  const { id, state, endReason, target, protocol, port, createdAt, deadline } = session;
  const { caller, onBehalfOf } = session;
  return [
    id,
    endReason === undefined ? state : `${state} (${endReason})`,
    target.name,
    `${protocol}:${port}`,
    onBehalfOf === undefined ? caller.name : `${caller.name} for ${onBehalfOf.name}`,
    createdAt,
    deadline,
  ];
}
