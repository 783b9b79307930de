import type { ApprovalRequest, PendingView } from '../lib/approval-view.ts';
import type { SessionView } from '../lib/session-view.ts';
import type { Client } from './api-client.ts';
import { parseDuration } from './argument.ts';
import { CommandError } from './command-error.ts';
import { openClient } from './context.ts';
import type { Context } from './context.ts';
import { describeRequest } from './describe-request.ts';
import { exitCodes } from './exit-code.ts';
import { formatDuration } from './format.ts';

/** The options of `approve` and `deny`, as they were typed. */
export type DecideOptions = {
  readonly duration?: string;
  readonly note?: string;
  readonly yes?: boolean;
};

type Decision = ApprovalRequest['decision'];

/**
 * Shows a request, asks whether it is meant, and decides on exactly what was shown. The id may be the beginning of one
 * that is listed. Without a terminal it must have been meant from the start.
 */
export async function decideRequest(
  context: Context,
  id: string,
  decision: Decision,
  options: DecideOptions,
): Promise<void> {
  const { settings, terminal } = context;
  const { duration, note } = options;
  const wanted: ApprovalRequest = {
    decision,
    ...(duration === undefined ? {} : { durationSeconds: parseDuration(duration) }),
    ...(note === undefined ? {} : { note }),
  };
  requireAnswerable(context, options);
  const { client } = await openClient(context);
  const request = pickRequest(await client.listApprovals(), id);
  describeRequest(request).forEach(terminal.note);
  await confirm(context, wanted, options);
  const view = await sendDecision(client, request, wanted);
  if (settings.json) return terminal.printJson(view);
  terminal.print(describeOutcome(view, request, decision));
}

/** Returns the one request whose id begins so. */
export function pickRequest(requests: readonly PendingView[], prefix: string): PendingView {
  const text = prefix.toLowerCase();
  const found = text === '' ? [] : requests.filter(({ id }) => id.startsWith(text));
  const [only, ...others] = found;
  if (only === undefined)
    throw new CommandError(
      exitCodes.notFound,
      `No request that you may decide begins with '${prefix}'. sallyport requests lists them.`,
    );
  if (others.length === 0) return only;
  throw new CommandError(
    exitCodes.usage,
    `${found.length} requests begin with '${prefix}'. Give more of the id.`,
    { notes: found.map(({ id }) => id) },
  );
}

function requireAnswerable({ ask }: Context, { yes }: DecideOptions): void {
  if (yes !== true && ask === undefined)
    throw new CommandError(exitCodes.usage, 'There is no terminal to ask on. Give --yes.');
}

async function confirm(
  { ask }: Context,
  { decision, durationSeconds }: ApprovalRequest,
  { yes }: DecideOptions,
): Promise<void> {
  if (yes === true || ask === undefined) return;
  const limit = durationSeconds === undefined ? '' : ` for ${formatDuration(durationSeconds)}`;
  const answer = await ask(`${decision === 'approve' ? 'Approve' : 'Deny'} this${limit}? [y/N] `);
  if (/^y(?:es)?$/i.test(answer.trim())) return;
  throw new CommandError(exitCodes.unexpected, 'Nothing was decided.');
}

const advice: ReadonlyMap<string | undefined, string> = new Map([
  ['request-changed', 'It is not the one that was shown. Read it again: sallyport requests'],
  ['approval-closed', 'What is still open: sallyport requests'],
]);

async function sendDecision(
  client: Client,
  request: PendingView,
  wanted: ApprovalRequest,
): Promise<SessionView> {
  try {
    return await client.decide(request, wanted);
  } catch (failure) {
    if (!(failure instanceof CommandError)) throw failure;
    const note = advice.get(failure.code);
    if (note === undefined) throw failure;
    const { code, exitCode, message, notes } = failure;
    const details = { notes: [...notes, note], ...(code === undefined ? {} : { code }) };
    throw new CommandError(exitCode, message, { ...details, cause: failure });
  }
}

/** Returns the sentence that says what the decision came to. */
function describeOutcome(view: SessionView, request: PendingView, decision: Decision): string {
  const { id, kind, needs } = request;
  if (decision === 'deny') return `Request ${id} is denied.`;
  const approval = kind === 'session' ? view.approval : view.extension;
  if (approval?.outcome === 'approved') return `Request ${id} is approved.`;
  const groups = needs.map(({ group, count }) => `${count} of group ${group}`).join(' and ');
  return `Your approval of ${id} is recorded. It takes approval by ${groups} in all.`;
}
