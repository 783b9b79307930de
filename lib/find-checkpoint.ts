import { checkpointPartition, toCheckpoint, toCheckpointKey } from './checkpoint.ts';
import type { StoredRow, Table } from './table.ts';

type List = Table['list'];

/**
 * Returns the number of the last checkpoint, or of the last one that was made by a time; 0 when there is none. Finds it
 * with a number of calls that grows with the logarithm of the answer, also where checkpoints before it were removed.
 */
export async function findLastCheckpoint(list: List, until?: Date): Promise<number> {
  // INVARIANT: there is such a checkpoint at `low` or later (or `low` is 0), and none at `high` or later.
  let low = 0;
  let high = 1;
  for (let found = await probe(list, high, until); found > 0;) {
    low = found;
    high = found * 2;
    found = await probe(list, high, until);
  }
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await probe(list, middle, until);
    if (found === 0) high = middle;
    else low = found;
  }
  return low;
}

/** Returns the number of the first checkpoint from the n-th on, and 0 when there is none, or when it is too young. */
async function probe(list: List, n: number, until: Date | undefined): Promise<number> {
  const [row] = await list(checkpointPartition, { from: toCheckpointKey(n), limit: 1 });
  // A key that is none stands behind all that are.
  if (row === undefined || !/^\d{12}$/.test(row.row)) return 0;
  return until !== undefined && until < findTime(row) ? 0 : Number(row.row);
}

// One that cannot be read is for the verifier to name, and must not hide those after it.
function findTime(row: StoredRow): Date {
  try {
    return new Date(toCheckpoint(row).checkpoint.time);
  } catch {
    return new Date(0);
  }
}
