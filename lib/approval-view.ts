import * as z from 'zod';
import { protocols } from './target.ts';
import { termsShape } from './terms.ts';

const time = z.iso.datetime();
const actor = z.strictObject({ id: z.string(), name: z.string() });

/** Text of an approver that ends in an audit entry and in front of others. */
const noteShape = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(
    /^[^\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]*$/u,
    'Use plain text without control characters.',
  );

const decisions = ['approve', 'deny'] as const;

/** `POST /api/sessions/{id}/approval`, with `If-Match`. */
export const approvalRequestShape = z.strictObject({
  decision: z.enum(decisions),
  durationSeconds: z
    .int()
    .min(60)
    .max(86_400)
    .exactOptional()
    .describe('Grants less time than was asked for; more is never granted.'),
  note: noteShape.exactOptional().describe('What the one who asked is told.'),
});

export type ApprovalRequest = z.infer<typeof approvalRequestShape>;

/** What one approver has said. */
const voteViewShape = z.strictObject({
  by: actor,
  decision: z.enum(decisions),
  at: time,
  durationSeconds: z.int().exactOptional(),
  note: z.string().exactOptional(),
});

const approvalMembers = {
  kind: z.enum(['session', 'extension']),
  /** Names exactly what is to be approved: the value of `If-Match` (RFC 9110, section 13.1.1). */
  etag: z.string(),
  /** How many members of which groups must approve. */
  needs: z.array(z.strictObject({ group: z.string(), count: z.int() })),
  durationSeconds: z.int(),
  expiresAt: time,
  votes: z.array(voteViewShape),
};

/** The approval that a session, or its extension, waits for or has had. */
export const approvalViewShape = z.strictObject({
  ...approvalMembers,
  outcome: z.enum(['approved', 'denied', 'expired']).exactOptional(),
});

/** A request that waits, as an approver sees it. */
const pendingViewShape = z.strictObject({
  /** The id of the session. */
  id: z.uuid(),
  ...approvalMembers,
  caller: actor,
  /** The person for whom the caller acts. */
  onBehalfOf: actor.exactOptional(),
  target: z.strictObject({ id: z.guid(), name: z.string() }),
  protocol: z.enum(protocols),
  port: z.int(),
  reason: z.string().exactOptional(),
  change: z.string().exactOptional(),
  requestedAt: time,
  terms: termsShape,
});

export type PendingView = z.infer<typeof pendingViewShape>;

/** `GET /api/approvals`: what the caller may decide, oldest first. */
export const pendingListShape = z.strictObject({ value: z.array(pendingViewShape) });
