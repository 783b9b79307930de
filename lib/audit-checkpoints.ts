import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { checkpointPartition, toCheckpoint, toCheckpointKey } from './checkpoint.ts';
import { BrokerError } from './failure.ts';
import { findLastCheckpoint } from './find-checkpoint.ts';
import { requireRole } from './role.ts';
import type { StoredRow } from './table.ts';

const usualLimit = 20;
const maxLimit = 100;

/** The query of `GET /api/audit/checkpoints`. */
export const checkpointQueryShape = z.strictObject({
  from: z.coerce
    .number()
    .pipe(z.int().positive())
    .exactOptional()
    .describe('The number of the first; the newest ones when absent.'),
  limit: z.coerce.number().pipe(z.int().min(1).max(maxLimit)).exactOptional(),
});

export type CheckpointQuery = z.infer<typeof checkpointQueryShape>;

const checkpointViewShape = z.strictObject({
  n: z.int(),
  hash: z.string(),
  /** ISO 8601. */
  time: z.string(),
  entries: z.int(),
  /** The text that is hashed and signed, with the heads of all chains that have grown. */
  body: z.string(),
  signature: z.string(),
  kid: z.string(),
});

export const checkpointListShape = z.strictObject({
  value: z.array(checkpointViewShape),
  nextLink: z.string().exactOptional(),
});

type CheckpointView = z.infer<typeof checkpointViewShape>;

/** Some checkpoints in their order, and the number of the next one, if there is one. */
export type CheckpointPage = { readonly value: readonly CheckpointView[]; readonly next?: number };

/** Returns checkpoints as they are stored, unverified: the newest, or those from a number on. */
export async function listCheckpoints(
  { audit: { list } }: Broker,
  caller: Caller,
  { from, limit = usualLimit }: CheckpointQuery,
): Promise<CheckpointPage> {
  requireRole(caller, 'Audit.Read');
  if (list === undefined)
    throw new BrokerError('audit-unavailable', 'The audit log cannot be read back here.');
  const first = from ?? Math.max(1, (await findLastCheckpoint(list)) - limit + 1);
  const range = { from: toCheckpointKey(first), limit: limit + 1 };
  const rows = await list(checkpointPartition, range);
  const [beyond] = rows.slice(limit);
  return {
    value: rows.slice(0, limit).flatMap(toView),
    ...(beyond === undefined ? {} : { next: Number(beyond.row) }),
  };
}

// One that cannot be read is for the verifier of an export to name.
function toView(row: StoredRow): readonly CheckpointView[] {
  try {
    const { checkpoint, body, hash, signature, kid } = toCheckpoint(row);
    const { n, time, entries } = checkpoint;
    return [{ n, hash, time, entries, body, signature, kid }];
  } catch {
    return [];
  }
}
