import type { AuditFault, AuditFaultCode } from './audit-verify-fault.ts';
import type { ChainTrust } from './audit-verify-key.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import { findCheckpointFault, toCheckpoint, toCheckpointKey } from './checkpoint.ts';
import type { StoredRow } from './table.ts';

/** Whether this is a fault and not what was asked for. */
export function isFault(value: object): value is AuditFault {
  return 'code' in value && 'detail' in value;
}

/** Returns the n-th checkpoint from its row, or what is wrong with it by itself. */
export function readCheckpoint(
  row: StoredRow | undefined,
  n: number,
  { roots, issuer }: ChainTrust,
): SignedCheckpoint | AuditFault {
  if (row?.row !== toCheckpointKey(n)) return toFault('checkpoint-missing', n, 'is missing');
  const signed = parseCheckpoint(row);
  if (signed?.checkpoint.n !== n)
    return toFault('checkpoint-altered', n, 'is not what a sealer has written');
  const fault = findCheckpointFault(signed, roots);
  if (fault === 'altered') return toFault('checkpoint-altered', n, 'has another hash');
  if (fault === 'untrusted' || signed.checkpoint.issuer !== issuer)
    return toFault(
      'checkpoint-untrusted',
      n,
      'is not signed for this broker by a trusted root key',
    );
  return signed;
}

/** Returns what is wrong between a checkpoint and the one before it, which is undefined for the first. */
export function findLinkFault(
  before: SignedCheckpoint | undefined,
  { checkpoint }: SignedCheckpoint,
): AuditFault | undefined {
  const { n, prev, entries, time } = checkpoint;
  if (prev !== (before?.hash ?? null))
    return toFault('checkpoint-unlinked', n, 'does not follow the one before it');
  const earlier = before?.checkpoint;
  if (earlier !== undefined && (entries < earlier.entries || time < earlier.time))
    return toFault('checkpoint-contradicts', n, 'says less than the one before it');
  return undefined;
}

/** Returns a fault of the n-th checkpoint. */
export function toFault(code: AuditFaultCode, n: number, text: string): AuditFault {
  return { code, checkpoint: n, detail: `Checkpoint ${n} ${text}.` };
}

function parseCheckpoint(row: StoredRow): SignedCheckpoint | undefined {
  try {
    return toCheckpoint(row);
  } catch {
    return undefined;
  }
}
