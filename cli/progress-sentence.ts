import type * as z from 'zod';
import type { approvalViewShape } from '../lib/approval-view.ts';
import type { SessionView } from '../lib/session-view.ts';
import { formatTime, quote } from './format.ts';

type ApprovalView = z.infer<typeof approvalViewShape>;

/** Returns the line that says what a session, or its extension, waits for. */
export function describeProgress(session: SessionView, kind: ApprovalView['kind']): string {
  const { approval, extension, port, progress, target } = session;
  const waiting = kind === 'extension' ? extension : approval;
  if (waiting !== undefined && waiting.outcome === undefined) return describeApproval(waiting);
  if (progress === 'starting') return `Starting ${target.name}`;
  if (progress === 'probing') return `Waiting for port ${port} of ${target.name}`;
  return `Waiting for ${target.name}`;
}

/** Returns the line that says whose approval is waited for, how many have given it, and until when it can be given. */
function describeApproval({ needs, votes, expiresAt }: ApprovalView): string {
  const groups = needs.map(({ group, count }) => `${count} of group ${group}`);
  const given = votes.filter(({ decision }) => decision === 'approve').length;
  const sofar = given === 0 ? '' : ` (${given} so far)`;
  const until = formatTime(new Date(expiresAt)).slice(0, 5);
  return `Waiting for approval by ${groups.join(' and ')}${sofar}, until ${until}`;
}

/** Returns a line for each vote: who, what and why. */
export function describeVotes({ votes }: Pick<ApprovalView, 'votes'>): readonly string[] {
  return votes.map(({ by, decision, note }) => {
    const verb = decision === 'approve' ? 'Approved' : 'Denied';
    return `${verb} by ${quote(by.name)} (${by.id})${note === undefined ? '' : `: ${quote(note)}`}`;
  });
}
