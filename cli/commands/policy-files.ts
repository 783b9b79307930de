import { readPolicyFolder } from '../../lib/file/policy-folder.ts';
import type { Finding, PolicyFile } from '../../lib/policy-scan.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';

/** Reads the policies of a folder. Fails with a usage error when it cannot be read or holds none. */
export async function readPolicies(folder: string): Promise<readonly PolicyFile[]> {
  const files = await readPolicyFolder(folder).catch((cause: unknown) => {
    throw new CommandError(exitCodes.usage, `The folder '${folder}' cannot be read.`, { cause });
  });
  if (files.length > 0) return files;
  throw new CommandError(exitCodes.usage, `The folder '${folder}' holds no .cedar file.`);
}

/** Prints what is to be repaired in a set, and returns the exit code for that. */
export function printFaulty(
  { settings, terminal }: Context,
  findings: readonly Finding[],
): ExitCode {
  if (settings.json) terminal.printJson({ outcome: 'faulty', findings });
  else printFindings(terminal, findings);
  return exitCodes.usage;
}

/** Prints each finding on a line of its own, in the form that editors follow to the place. */
export function printFindings({ note }: Context['terminal'], findings: readonly Finding[]): void {
  for (const { file, line, detail } of findings) note(`${file}:${line}: ${detail}`);
}
