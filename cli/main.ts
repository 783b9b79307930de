import { existsSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { CommanderError } from 'commander';
import facts from '../package.json' with { type: 'json' };
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { createProgram } from './program.ts';
import type { Surroundings } from './program.ts';
import { createTerminal } from './terminal.ts';
import type { Terminal } from './terminal.ts';

// A reader that has gone, such as `head`, is not a failure of ours.
const ignore = (): void => undefined;
let output: NodeJS.WritableStream | undefined;
const terminal = createTerminal(
  () => (output ??= process.stdout.on('error', ignore)),
  () => process.stderr,
);
process.stderr.on('error', ignore);

process.exitCode = await run(process.argv);

// Under npx this is a link in a cache that goes away, and an ssh_config block stays.
function toRealPath(script: string): string {
  return existsSync(script) ? realpathSync(script) : script;
}

async function run(words: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const surroundings: Surroundings = {
    version: facts.version,
    invocation: { program: process.execPath, script: toRealPath(process.argv[1] ?? '') },
    createContext: async (options) => {
      const [{ createContext }, { parseSettings }] = await Promise.all([
        import('./context.ts'),
        import('./settings.ts'),
      ]);
      const machine = { platform: process.platform, home: homedir() };
      const settings = parseSettings(process.env, options, machine);
      return createContext(settings, terminal, {
        now: () => new Date(),
        wait: async (milliseconds, signal) =>
          wait(milliseconds, undefined, signal === undefined ? {} : { signal }),
        ...(isatty(0) && isatty(2) ? { ask } : {}),
      });
    },
    watchSignals,
    setExitCode: (code) => {
      exitCode = code;
    },
  };
  try {
    await createProgram(surroundings).parseAsync([...words]);
    return exitCode;
  } catch (failure) {
    return report(failure, terminal);
  }
}

// On standard error, as standard output is for the result.
async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    // Also by Ctrl-C and Ctrl-D; after an answer it comes too late to matter.
    lines.once('close', () => resolve(''));
    lines.question(question, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}

function watchSignals(): AbortSignal {
  const controller = new AbortController();
  // Once each: a second Ctrl-C does not wait for anything to be closed.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => controller.abort());
  return controller.signal;
}

function report(failure: unknown, { note }: Terminal): number {
  // Commander has printed its own sentence, or the help that was asked for.
  if (failure instanceof CommanderError)
    return failure.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (!(failure instanceof CommandError)) {
    note(`sallyport: ${failure instanceof Error ? failure.message : String(failure)}`);
    return exitCodes.unexpected;
  }
  note(`sallyport: ${failure.message}`);
  for (const line of failure.notes) note(`  ${line}`);
  return failure.exitCode;
}
