import type { OperationView } from '../lib/operation-view.ts';
import type { EndReason, SessionView } from '../lib/session-view.ts';
import { CommandError } from './command-error.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { describeVotes } from './progress-sentence.ts';

type Ending = { readonly exitCode: ExitCode; readonly sentence: string };

const unapproved: Ending = {
  exitCode: exitCodes.denied,
  sentence: 'The request was not approved in time. Ask again.',
};

const denied: Ending = { exitCode: exitCodes.denied, sentence: 'The request was denied.' };

const overdue: Ending = {
  exitCode: exitCodes.conflict,
  sentence: 'The session is over. Ask for a new one.',
};

const endings: Record<EndReason, Ending> = {
  terminated: { exitCode: exitCodes.conflict, sentence: 'The session was terminated.' },
  deadline: overdue,
  unused: overdue,
  policy: { exitCode: exitCodes.denied, sentence: 'Policy does not permit the session any more.' },
  denied,
  unapproved,
  locked: { exitCode: exitCodes.denied, sentence: 'A lock forbids the session.' },
  'target-changed': {
    exitCode: exitCodes.conflict,
    sentence: 'The target has changed meanwhile. Ask for a new session.',
  },
  'start-failed': {
    exitCode: exitCodes.targetUnreachable,
    sentence: 'The target could not be started.',
  },
  unreachable: { exitCode: exitCodes.targetUnreachable, sentence: 'The target did not answer.' },
  'delegation-revoked': {
    exitCode: exitCodes.denied,
    sentence: 'The delegation has been revoked. Ask for another one.',
  },
};

/** Returns the failure that it is for the user when a session that was waited for did not become ready. */
export function toEndError(session: SessionView, error: OperationView['error']): CommandError {
  const { approval, endReason } = session;
  if (endReason === undefined) return toOperationError(error);
  const notes = approval === undefined ? [] : describeVotes(approval);
  const { exitCode, sentence } = endings[endReason];
  return new CommandError(exitCode, sentence, { code: endReason, notes });
}

/** Returns the failure that it is for the user when a longer time was not granted; the session goes on. */
export function toExtensionError(
  { extension, endReason }: SessionView,
  error: OperationView['error'],
): CommandError {
  if (endReason !== undefined)
    return new CommandError(endings[endReason].exitCode, endings[endReason].sentence);
  if (extension?.outcome === 'denied')
    return new CommandError(denied.exitCode, denied.sentence, { notes: describeVotes(extension) });
  if (extension?.outcome === 'expired')
    return new CommandError(unapproved.exitCode, unapproved.sentence);
  return toOperationError(error);
}

function toOperationError(error: OperationView['error']): CommandError {
  const sentence =
    error?.message ?? 'The request came to nothing, and the broker does not say why.';
  return new CommandError(exitCodes.conflict, sentence);
}
