import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** A run of the command, while it goes on. */
export type CliProcess = {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves with the exit code once the program has ended and its output was read. */
  readonly ended: Promise<number>;
  readonly stderr: () => string;
};

/** The result of a run of the command. */
export type CliResult = {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
};

/** Runs the command from its source, in an environment that has nothing of the developer's own settings. */
export class Cli {
  /** All that the runs so far have printed. */
  printed = '';
  readonly #environment: Readonly<Record<string, string>>;
  readonly #children = new Set<ChildProcessWithoutNullStreams>();

  constructor(environment: Readonly<Record<string, string>>) {
    this.#environment = environment;
  }

  /** Starts the command. Its standard output is left to the test. */
  start(...args: readonly string[]): CliProcess {
    return this.#spawn(process.execPath, [main, ...args]);
  }

  /** Starts the command as the parameters of a shell script. */
  startIn(script: string, ...args: readonly string[]): CliProcess {
    return this.#spawn('/bin/sh', ['-c', script, 'sh', process.execPath, main, ...args]);
  }

  /** Ends every run that still goes on, which only a test that failed leaves behind. */
  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  /** Throws when a run has printed one of these. */
  refuseLeaks(secrets: Iterable<string>): void {
    for (const secret of secrets)
      if (this.printed.includes(secret)) throw new Error(`a run has printed ${secret}`);
  }

  #spawn(program: string, args: readonly string[]): CliProcess {
    const env = { PATH: process.env['PATH'], HOME: '/nonexistent', ...this.#environment };
    const child = spawn(program, args, { env });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    let stderr = '';
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      this.printed += chunk;
    });
    const ended = once(child, 'close').then(([code]) => Number(code));
    return { child, ended, stderr: () => stderr };
  }

  /** Runs the command to its end, with nothing on its standard input. */
  async run(...args: readonly string[]): Promise<CliResult> {
    const { child, ended, stderr } = this.start(...args);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stdin.end();
    const exitCode = await ended;
    this.printed += stdout;
    return { exitCode, stdout, stderr: stderr() };
  }
}
