import type { SessionView } from '../lib/session-view.ts';
import type { Client, Opening } from './api-client.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { toEndError, toExtensionError } from './end-sentence.ts';
import { exitCodes } from './exit-code.ts';
import { followOperation, isPassing } from './follow-operation.ts';
import type { Prospect } from './follow-operation.ts';
import { describeProgress, describeVotes } from './progress-sentence.ts';

/** What it takes to wait for a session. */
export type AwaitPorts = Pick<Context, 'now' | 'wait' | 'terminal'> & {
  readonly client: Pick<Client, 'readOperation' | 'readSession'>;
};

/** Whether a session still has to be approved or made ready. */
export function isWaiting({ state }: SessionView): boolean {
  return state === 'pendingApproval' || state === 'preparing';
}

/** Returns the session once it is ready, at once where it is already. Fails with the reason why it will never be. */
export async function awaitSession(ports: AwaitPorts, opening: Opening): Promise<SessionView> {
  const { session, retryAfterSeconds } = opening;
  if (!isWaiting(session)) return requireUsable(session);
  const describe = createDescribe(ports, session, 'session');
  const follow = { ...ports, describe };
  const operation = await followOperation(follow, session.id, retryAfterSeconds);
  const latest = await ports.client.readSession(session.id);
  if (operation.status !== 'Succeeded') throw toEndError(latest, operation.error);
  // What an approver noted is for the one who asked.
  if (latest.approval !== undefined) describeVotes(latest.approval).forEach(ports.terminal.note);
  return requireUsable(latest);
}

/** Returns the session once its extension has been decided. Fails with the reason where it was not granted. */
export async function awaitExtension(ports: AwaitPorts, opening: Opening): Promise<SessionView> {
  const { session, retryAfterSeconds } = opening;
  const describe = createDescribe(ports, session, 'extension');
  const follow = { ...ports, describe };
  const operation = await followOperation(follow, `${session.id}.extension`, retryAfterSeconds);
  const latest = await ports.client.readSession(session.id);
  if (operation.status !== 'Succeeded') throw toExtensionError(latest, operation.error);
  return latest;
}

// Of several approvers one may have voted by now, and after the approval the target may have to be started.
function createDescribe(
  { client }: AwaitPorts,
  first: SessionView,
  kind: 'session' | 'extension',
): () => Promise<Prospect> {
  let shown = first;
  let isFirst = true;
  const readAgain = async (): Promise<SessionView> =>
    client.readSession(first.id).catch((failure: unknown) => {
      if (failure instanceof CommandError && isPassing(failure)) return shown;
      throw failure;
    });
  return async () => {
    if (!isFirst) shown = await readAgain();
    isFirst = false;
    return { line: describeProgress(shown, kind), end: new Date(shown.deadline) };
  };
}

function requireUsable(session: SessionView): SessionView {
  if (session.state === 'ready' || session.state === 'active') return session;
  throw toEndError(session, undefined);
}

/** Returns what the user is told instead of waiting: what for, and how to go on. */
export function toWaitingError(
  session: SessionView,
  kind: 'session' | 'extension',
  notes: readonly string[],
): CommandError {
  const sentence = `${describeProgress(session, kind)}. The session is ${session.id}.`;
  return new CommandError(exitCodes.waiting, sentence, { notes });
}
