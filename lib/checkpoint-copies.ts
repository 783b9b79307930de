import { formatLine } from './audit-export-line.ts';
import { toCheckpointLine } from './audit-export-walk.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import { toFault } from './checkpoint-check.ts';
import { checkpointPartition, toCheckpointKey } from './checkpoint.ts';
import type { Table } from './table.ts';

/** A place where checkpoints can be added, and neither changed nor taken away (a blob container with immutability). */
export type CheckpointCopies = {
  /** Durable once resolved. `exists` when there is one of this number, whatever it says. */
  readonly add: (n: number, text: string) => Promise<'added' | 'exists'>;
  readonly find: (n: number) => Promise<string | undefined>;
};

/** Copies checkpoints in the order of their numbers. */
export type CheckpointCopier = {
  /** Copies all up to the n-th that are not there yet, a few hundred at most. Returns a copy that says something else. */
  readonly copyUpTo: (n: number) => Promise<AuditFault | undefined>;
  /** Returns what is wrong when there is a copy of a checkpoint that the table does not have. */
  readonly findAhead: (n: number) => Promise<AuditFault | undefined>;
};

const mostPerRun = 200;

/** Opens the copier of an audit table. */
export function openCheckpointCopier(
  list: Table['list'],
  copies: CheckpointCopies,
): CheckpointCopier {
  /** INVARIANT: the copies up to this one are there, and the last of them was compared. */
  let copied: number | undefined;
  const compare = async (n: number, text: string): Promise<AuditFault | undefined> =>
    (await copies.find(n)) === text ? undefined : toFault('checkpoint-forked', n, differs);
  return {
    copyUpTo: async (n) => {
      copied ??= (await findLastCopy(copies, n)) - 1;
      if (copied === n) return undefined;
      // From the last copy on, which is compared when this process sees it for the first time.
      const from = Math.max(1, copied + 1);
      const before = toCheckpointKey(Math.min(n, from + mostPerRun - 1) + 1);
      const rows = await list(checkpointPartition, { from: toCheckpointKey(from), before });
      for (const row of rows) {
        const number = Number(row.row);
        const text = formatLine(toCheckpointLine(row));
        const isThere = (await copies.add(number, text)) === 'exists';
        const fault = isThere ? await compare(number, text) : undefined;
        if (fault !== undefined) return fault;
        copied = number;
      }
      return undefined;
    },
    findAhead: async (n) => {
      if ((await copies.find(n)) === undefined) return undefined;
      // Another sealer may have stored it since, and copied it.
      const [row] = await list(checkpointPartition, { from: toCheckpointKey(n), limit: 1 });
      return row === undefined ? toFault('checkpoint-missing', n, isGone) : undefined;
    },
  };
}

const differs = 'is not the one that was copied';
const isGone = 'was copied, and is not in the table any more';

// Copies are made in order, so that all before one that is there are there.
async function findLastCopy(copies: CheckpointCopies, n: number): Promise<number> {
  const isThere = async (number: number): Promise<boolean> =>
    (await copies.find(number)) !== undefined;
  let above = n + 1;
  let step = 1;
  while (0 < above - step && !(await isThere(above - step))) {
    above -= step;
    step *= 2;
  }
  let below = Math.max(0, above - step);
  while (below + 1 < above) {
    const middle = Math.floor((below + above) / 2);
    if (await isThere(middle)) below = middle;
    else above = middle;
  }
  return below;
}
