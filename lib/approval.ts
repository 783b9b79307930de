import { createHash } from 'node:crypto';
import * as z from 'zod';
import { toCanonicalJson } from './canonical-json.ts';
import type { ApprovalNeed } from './need.ts';

const time = z.iso.datetime();

const voteShape = z.strictObject({
  by: z.strictObject({ id: z.string(), name: z.string() }),
  /** Those of the groups that must approve of which the approver is a member. */
  groups: z.array(z.string()),
  decision: z.enum(['approve', 'deny']),
  at: time,
  durationSeconds: z.int().exactOptional(),
  note: z.string().exactOptional(),
});

/** The approval of one exact request, as it is stored with its session. */
export const approvalShape = z.strictObject({
  kind: z.enum(['session', 'extension']),
  /** Names the request: SHA-256 of all that an approver is shown. */
  digest: z.string(),
  needs: z.array(z.strictObject({ group: z.string(), count: z.int().positive() })),
  durationSeconds: z.int(),
  requestedAt: time,
  expiresAt: time,
  votes: z.array(voteShape),
  outcome: z.enum(['approved', 'denied', 'expired']).exactOptional(),
});

export type Approval = z.infer<typeof approvalShape>;

export type Vote = z.infer<typeof voteShape>;

/** Returns the approval that waits for its votes. `facts` are all that an approver is shown. */
export function openApproval(
  kind: Approval['kind'],
  needs: readonly ApprovalNeed[],
  facts: Readonly<Record<string, unknown>>,
  times: { readonly requestedAt: Date; readonly seconds: number; readonly durationSeconds: number },
): Approval {
  const { requestedAt, seconds, durationSeconds } = times;
  const groups = needs.map(({ group, count }) => ({ group, count }));
  const named = { kind, needs: groups, durationSeconds, requestedAt: requestedAt.toISOString() };
  const text = toCanonicalJson({ ...facts, ...named });
  return {
    ...named,
    digest: createHash('sha256').update('sallyport-approval-1\n').update(text).digest('base64url'),
    expiresAt: new Date(requestedAt.getTime() + seconds * 1000).toISOString(),
    votes: [],
  };
}

/** Whether votes about it still count. */
export function isWaiting({ outcome, expiresAt }: Approval, now: Date): boolean {
  return outcome === undefined && now < new Date(expiresAt);
}

/** Adds a vote. One denial denies; the request is approved when every need has its number of approvers. */
export function addVote(approval: Approval, vote: Vote): Approval {
  const votes = [...approval.votes, vote];
  if (vote.decision === 'deny') return { ...approval, votes, outcome: 'denied' };
  const isMet = findLacking({ ...approval, votes }).length === 0;
  return { ...approval, votes, ...(isMet ? { outcome: 'approved' as const } : {}) };
}

/** Returns the groups of which more members must approve. */
export function findLacking({ needs, votes }: Approval): readonly string[] {
  return needs
    .filter(
      ({ group, count }) => votes.filter(({ groups }) => groups.includes(group)).length < count,
    )
    .map(({ group }) => group);
}

/** Returns the approvals as a decision takes them: who, as a member of which group. */
export function toApprovals({ votes }: Approval): { by: string; group: string }[] {
  return votes.flatMap(({ by, groups }) => groups.map((group) => ({ by: by.id, group })));
}

/** Returns how long the request may be granted for: the shortest of what was asked and what approvers have said. */
export function findApprovedSeconds({ durationSeconds, votes }: Approval): number {
  return Math.min(durationSeconds, ...votes.map((vote) => vote.durationSeconds ?? durationSeconds));
}

/** Returns the entity tag of the request (RFC 9110, section 8.8.3). */
export function toEtag({ digest }: Approval): string {
  return `"${digest}"`;
}
