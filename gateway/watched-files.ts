import { watchFile } from 'node:fs';
import type { Log } from './log.ts';
import { describeError } from './log.ts';

// Polled, because mounted secrets are swapped by symbolic links, of which file events say nothing.
const pollMilliseconds = 2000;

/**
 * Calls `load` now, and again whenever one of the files has changed. A failure now is thrown; a later one is logged,
 * and what was loaded before stays in force.
 */
export function loadWatched(files: readonly string[], load: () => void, log: Log): void {
  load();
  const reload = (): void => {
    try {
      load();
      log('files-reloaded', { files });
    } catch (error) {
      log('files-invalid', { files, cause: describeError(error) });
    }
  };
  for (const file of files)
    watchFile(file, { interval: pollMilliseconds, persistent: false }, reload);
}
