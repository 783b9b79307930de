import { CommandError } from '../../cli/command-error.ts';

/** Returns the exit code of the failure with which the work ends; undefined when it does not fail so. */
export function exitCodeOf(work: () => unknown): number | undefined {
  try {
    work();
    return undefined;
  } catch (failure) {
    return failure instanceof CommandError ? failure.exitCode : undefined;
  }
}
