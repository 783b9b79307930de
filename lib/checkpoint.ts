import { createHash } from 'node:crypto';
import * as z from 'zod';
import { joinParts, splitParts } from './audit-parts.ts';
import { isBase64url } from './base64url.ts';
import { toCanonicalJson } from './canonical-json.ts';
import type { RootKey, TrustedRoots } from './root-key.ts';
import { verifyRootSignature } from './root-signature.ts';
import type { Row, StoredRow } from './table.ts';

// Keeps what is signed here from passing for anything else that the same key signs.
const context = 'sallyport-checkpoint-1\n';

/** The partition of all checkpoints in the audit table. */
export const checkpointPartition = 'cp';

const headShape = z.strictObject({
  chain: z.string(),
  /** The last entry of a batch, which carries a signature. */
  seq: z.int().positive(),
  hash: z.string(),
  /** Whether this entry is `chain.closed`. A chain whose writer died has no such end, and is never closed. */
  closed: z.boolean(),
});

/** The body of a checkpoint: which chains reach how far. Members of a later version are let through. */
export const checkpointShape = z.object({
  v: z.literal(1),
  n: z.int().positive(),
  /** Never before that of checkpoint n - 1. */
  time: z.iso.datetime({ precision: 3 }),
  /** The public URL of the broker. */
  issuer: z.string(),
  /** The hash of checkpoint n - 1; null in the first. */
  prev: z.string().nullable(),
  /** How many entries are sealed by this and all checkpoints before it. */
  entries: z.int().nonnegative(),
  /** The chains that have grown since the checkpoint before, each once, ordered by id. */
  heads: z.array(headShape),
  /** Chains that retention is about to remove, each with the head that was sealed, ordered by id. Absent when there are none. */
  pruned: z.array(headShape).exactOptional(),
});

export type Checkpoint = z.infer<typeof checkpointShape>;

export type ChainHead = z.infer<typeof headShape>;

/** A checkpoint as it is stored: its text, the hash of that, and the root key's signature of the same bytes. */
export type SignedCheckpoint = {
  readonly checkpoint: Checkpoint;
  readonly body: string;
  readonly hash: string;
  readonly signature: string;
  readonly kid: string;
};

/** Signs a checkpoint with the root key (ES256, raw `r || s`). */
export async function signCheckpoint(
  root: RootKey,
  checkpoint: Checkpoint,
): Promise<SignedCheckpoint> {
  const body = toCanonicalJson(checkpoint);
  const signature = await root.sign(Buffer.from(context + body));
  return {
    checkpoint,
    body,
    hash: hashBody(body),
    signature: Buffer.from(signature).toString('base64url'),
    kid: root.kid,
  };
}

/** Returns the row of a checkpoint. */
export function toCheckpointRow({ checkpoint, body, hash, signature, kid }: SignedCheckpoint): Row {
  return {
    partition: checkpointPartition,
    row: toCheckpointKey(checkpoint.n),
    values: { ...splitParts(body), h: hash, s: signature, kid },
  };
}

/** Returns the row key of the n-th checkpoint. */
export function toCheckpointKey(n: number): string {
  return String(n).padStart(12, '0');
}

/** Returns the checkpoint that a row holds, unverified. Throws when the row holds none. */
export function toCheckpoint({ values }: Pick<StoredRow, 'values'>): SignedCheckpoint {
  const body = joinParts(values);
  return {
    checkpoint: checkpointShape.parse(JSON.parse(body)),
    body,
    hash: String(values['h']),
    signature: String(values['s']),
    kid: String(values['kid']),
  };
}

/**
 * Returns what is wrong with a checkpoint by itself: it is not what was signed, or no root key that is trusted has signed
 * it. Undefined when its hash and its signature are right.
 */
export function findCheckpointFault(
  { body, hash, signature, kid }: Omit<SignedCheckpoint, 'checkpoint'>,
  roots: TrustedRoots,
): 'altered' | 'untrusted' | undefined {
  // A lone surrogate has no UTF-8, and would be hashed as if it were U+FFFD.
  if (!body.isWellFormed() || hashBody(body) !== hash) return 'altered';
  const data = Buffer.from(context + body);
  const raw = Buffer.from(signature, 'base64url');
  const isSigned =
    isBase64url(signature) && verifyRootSignature(roots, { kid, data, signature: raw });
  return isSigned ? undefined : 'untrusted';
}

function hashBody(body: string): string {
  return createHash('sha256').update(context).update(body).digest('base64url');
}
