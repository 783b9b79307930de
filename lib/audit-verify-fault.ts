/** What can be wrong with an export, as a closed list. `docs/audit-format.md` says what each means. */
export type AuditFaultCode =
  | 'file-malformed'
  | 'file-truncated'
  | 'file-miscounted'
  | 'checkpoint-altered'
  | 'checkpoint-untrusted'
  | 'checkpoint-missing'
  | 'checkpoint-misplaced'
  | 'checkpoint-forked'
  | 'checkpoint-unlinked'
  | 'checkpoint-contradicts'
  | 'anchor-missing'
  | 'anchor-differs'
  | 'chain-untrusted'
  | 'chain-altered'
  | 'chain-misplaced'
  | 'chain-missing'
  | 'chain-truncated'
  | 'chain-unlinked'
  | 'entry-altered'
  | 'entry-moved'
  | 'entry-missing'
  | 'entry-misplaced'
  | 'entry-unlinked'
  | 'entry-forked'
  | 'entry-forged'
  | 'entry-unsigned'
  | 'entry-after-end'
  | 'entry-out-of-time';

/** What is wrong with a chain or with a checkpoint, where, and why, in a sentence. */
export type AuditFault = {
  readonly code: AuditFaultCode;
  readonly chain?: string;
  readonly sequence?: number;
  readonly checkpoint?: number;
  readonly detail: string;
};
