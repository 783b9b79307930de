import { readFileSync } from 'node:fs';

// The kernel counts for user programs in hundredths of a second, whatever its own clock is (proc(5), USER_HZ).
const tickMilliseconds = 10;

/** Whether the CPU time of other processes can be read here. */
export const canReadProcessTime = process.platform === 'linux';

/** Returns the CPU time that a process has used, user and system, in milliseconds. Throws when it has ended. */
export function readProcessTime(pid: number): number {
  const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  // The name in parentheses may hold anything, so fields are counted from behind it: the third is next.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (Number.isNaN(ticks)) throw new Error(`the times of process ${String(pid)} cannot be read`);
  return ticks * tickMilliseconds;
}
