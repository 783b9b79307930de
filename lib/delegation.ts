import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Broker } from './broker.ts';
import { toCanonicalJson } from './canonical-json.ts';
import { plainText } from './session-request.ts';
import type { Row } from './table.ts';
import { protocols } from './target.ts';

const time = z.iso.datetime();
const actor = z.strictObject({ id: z.string(), name: z.string() });

const serviceShape = z.strictObject({
  protocol: z.enum(protocols),
  port: z.int().min(1).max(65_535),
});

const limitsShape = z.strictObject({
  maxDurationSeconds: z
    .int()
    .min(60)
    .max(86_400)
    .exactOptional()
    .describe('How long each session may last.'),
  maxConnections: z
    .int()
    .min(1)
    .max(1000)
    .exactOptional()
    .describe('How many connections each session may have at once.'),
  maxBytes: z
    .int()
    .min(1)
    .exactOptional()
    .describe('How many payload bytes each session may carry, both directions together.'),
  maxSessions: z
    .int()
    .min(1)
    .max(100)
    .exactOptional()
    .describe('How many sessions there may be in all, those that have ended included.'),
});

/** `PUT /api/delegations/{id}`: what a person lets a workload do in their name. */
export const delegationRequestShape = z.strictObject({
  to: z
    .string()
    .regex(/^[\x21-\x7e]{3,300}$/, 'Give the caller id of a workload.')
    .transform(lowerGuids)
    .describe('The caller id of the workload, as its own `GET /api/whoami` says.'),
  targets: z
    .array(z.guid().toLowerCase())
    .min(1)
    .max(100)
    .describe('The ids of the targets that it may reach.'),
  services: z.array(serviceShape).min(1).max(20).describe('On which ports, by which protocols.'),
  expiresAt: z.iso.datetime({ offset: true }).describe('When it ends, within seven days.'),
  limits: limitsShape.default({}),
  purpose: plainText.describe('What for, for the workload, for approvers and for the audit.'),
});

export type DelegationRequest = z.infer<typeof delegationRequestShape>;

/** A delegation as it is stored. It never changes but to be revoked. */
const delegationShape = z.strictObject({
  id: z.uuid(),
  /** Good for nothing until it is recorded that it was given. */
  state: z.enum(['drafted', 'given', 'revoked']),
  /** The person, with what was known of them when they gave it. */
  from: z.strictObject({
    ...actor.shape,
    issuer: z.string(),
    app: z.string(),
    groups: z.array(z.string()),
    signedInAt: z.int().exactOptional(),
  }),
  to: z.string(),
  targets: z.array(z.string()),
  services: z.array(serviceShape),
  expiresAt: time,
  limits: limitsShape,
  purpose: z.string(),
  createdAt: time,
  revoked: z.strictObject({ by: actor, at: time }).exactOptional(),
  /** Tells an identical retry of a PUT from another request with the same id. */
  requestDigest: z.string(),
});

export type Delegation = z.infer<typeof delegationShape>;

/** A delegation with the version of its row. */
export type StoredDelegation = { readonly delegation: Delegation; readonly etag: string };

/** A delegation as giver and receiver see it. What is known of the giver is not in it. */
export const delegationViewShape = z.strictObject({
  id: z.uuid(),
  state: z.enum(['active', 'expired', 'revoked']),
  from: actor,
  to: z.string(),
  targets: z.array(z.string()),
  services: z.array(serviceShape),
  expiresAt: time,
  limits: limitsShape,
  purpose: z.string(),
  createdAt: time,
  revokedAt: time.exactOptional(),
  revokedBy: actor.exactOptional(),
});

export type DelegationView = z.infer<typeof delegationViewShape>;

const delegationRow = 'delegation';

/** Returns the partition of a delegation: it, its open sessions, and the places of those that it was good for. */
export function toDelegationPartition(id: string): string {
  return `dg|${id}`;
}

/** Returns the row of a delegation. */
export function toDelegationRow(delegation: Delegation): Row {
  const values = { b: JSON.stringify(delegation) };
  return { partition: toDelegationPartition(delegation.id), row: delegationRow, values };
}

/** Returns the delegation with this id, whoever it belongs to. */
export async function findDelegation(
  { state }: Pick<Broker, 'state'>,
  id: string,
): Promise<StoredDelegation | undefined> {
  const row = await state.find(toDelegationPartition(id), delegationRow);
  if (row === undefined) return undefined;
  return {
    delegation: delegationShape.parse(JSON.parse(String(row.values['b']))),
    etag: row.etag,
  };
}

/** Writes a changed delegation; `changed` when somebody else has written since. */
export async function replaceDelegation(
  { state }: Pick<Broker, 'state'>,
  { delegation, etag }: StoredDelegation,
): Promise<'replaced' | 'changed'> {
  return state.replace({ ...toDelegationRow(delegation), etag });
}

/** Whether it is recorded that the delegation was given. Nobody hears of one that is not. */
export function isRecorded({ state }: Delegation): boolean {
  return state !== 'drafted';
}

/** Whether the delegation is good for anything now. */
export function isStanding({ state, expiresAt }: Delegation, now: Date): boolean {
  return state === 'given' && now < new Date(expiresAt);
}

/** Returns the delegation as giver and receiver see it. */
export function toDelegationView(delegation: Delegation, now: Date): DelegationView {
  const { requestDigest: _digest, from, revoked, state, ...shown } = delegation;
  const isOver = state === 'given' && !isStanding(delegation, now);
  return {
    ...shown,
    from: { id: from.id, name: from.name },
    state: state === 'revoked' ? state : isOver ? 'expired' : 'active',
    ...(revoked === undefined ? {} : { revokedAt: revoked.at, revokedBy: revoked.by }),
  };
}

/** Returns what tells an identical repetition of a request from another one. */
export function digestDelegation(request: DelegationRequest): string {
  return createHash('sha256').update(toCanonicalJson(request)).digest('base64url');
}

// The ids of Entra are GUIDs, whose case means nothing; the subjects of other issuers are texts.
function lowerGuids(caller: string): string {
  return /^[\da-f-]{36}\.[\da-f-]{36}$/i.test(caller) ? caller.toLowerCase() : caller;
}
