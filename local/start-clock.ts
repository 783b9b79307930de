import { statSync } from 'node:fs';
import { join } from 'node:path';

// More than any drift that a time service corrects in one step.
const skewMilliseconds = 60_000;

/**
 * Fails with a sentence when the tables of the folder were last written in what is now the future: new audit entries
 * would seem older than those before them.
 */
export function refuseClockThatWentBack(folder: string, now: Date): void {
  const written = statSync(join(folder, 'tables', 'tables.json'), { throwIfNoEntry: false })?.mtime;
  if (written === undefined || written.getTime() <= now.getTime() + skewMilliseconds) return;
  throw new Error(
    `The clock of this machine went back: it is ${now.toISOString()}, and the data folder ${folder} was last used at ` +
      `${written.toISOString()}. Set the clock right, or choose another folder with --data.`,
  );
}
