import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeBundle } from '../../lib/policy-bundle.ts';
import { writePointer } from '../../lib/policy-pointer.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { printFaulty, readPolicies } from './policy-files.ts';
import { findFaults } from './policy-test.ts';

export type BundleOptions = {
  readonly out: string;
  readonly by?: string;
  readonly note?: string;
};

/**
 * Writes the bundle of a folder and the pointer to it, as they are to be uploaded, and prints how. Returns the exit code:
 * `usage` when there are findings, and then writes nothing.
 */
export async function bundlePolicies(
  context: Context,
  folder: string,
  options: BundleOptions,
): Promise<ExitCode> {
  const { settings, terminal } = context;
  const files = await readPolicies(folder);
  const faults = findFaults(files);
  if (faults.length > 0)
    return printFaulty(
      context,
      faults.map((fault) => ({ ...fault, file: join(folder, fault.file) })),
    );
  const { digest, text } = writeBundle(files);
  const pointer = toPointer(digest, options);
  await writeOut(options.out, `bundles/${digest}.json`, text);
  await writeOut(options.out, 'current', pointer);
  if (settings.json) terminal.printJson({ digest });
  else for (const line of [digest, '', ...toCommands(options.out)]) terminal.print(line);
  return exitCodes.ok;
}

function toPointer(digest: string, { by, note }: BundleOptions): string {
  try {
    return writePointer({
      digest,
      ...(by === undefined ? {} : { publishedBy: by }),
      ...(note === undefined ? {} : { note }),
    });
  } catch (cause) {
    const sentence = 'Write --by and --note in up to 500 characters of plain text each.';
    throw new CommandError(exitCodes.usage, sentence, { cause });
  }
}

async function writeOut(out: string, name: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(join(out, name)), { recursive: true });
    await writeFile(join(out, name), text);
  } catch (cause) {
    throw new CommandError(exitCodes.usage, `The folder '${out}' cannot be written.`, { cause });
  }
}

// The bundle first: whoever reads the pointer must find what it names.
function toCommands(out: string): readonly string[] {
  const account = '--auth-mode login --account-name ACCOUNT --overwrite true';
  return [
    'Upload the bundle first, then the pointer to it:',
    `  az storage blob upload-batch ${account} --destination policies --source "${out}" --pattern "bundles/*"`,
    `  az storage blob upload ${account} --container-name policies --name current --file "${join(out, 'current')}"`,
  ];
}
