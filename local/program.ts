import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import * as z from 'zod';

/** A running child process of the local stack. */
export type Program = {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  /** Asks the program to stop, and resolves with its exit code once it has. */
  readonly stop: () => Promise<number | null>;
  /** Ends the program at once, as a crash would. */
  readonly kill: () => Promise<void>;
  readonly exited: Promise<number | null>;
};

/** What to run, and where its log lines go. */
export type ProgramOptions = {
  readonly name: string;
  /** Arguments of this Node.js: a script and its own arguments. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
};

const listeningShape = z.looseObject({ event: z.literal('listening'), url: z.string() });
const startMilliseconds = 15_000;
const leash = new URL('leash.ts', import.meta.url).href;

/** Starts a program and resolves once it says that it listens. Rejects with its last lines when it ends before, or after 15 s. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { name, args, env, onLine } = options;
  const child = spawn(process.execPath, ['--import', leash, ...args], {
    env: { ...keepUsual(process.env), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Out of the terminal's process group: Ctrl-C is for whoever started the program, and ends it in good order.
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve(null));
  });
  const lines: string[] = [];
  const url = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        if (20 < lines.length) lines.shift();
        onLine(line);
        const said = listeningShape.safeParse(parseLine(line));
        if (said.success) resolve(said.data.url);
      });
    }
  });
  const failed = exited.then((code) => {
    throw new Error(`${name} ended with ${String(code)} before it listened:\n${lines.join('\n')}`);
  });
  failed.catch(() => undefined);
  const late = setTimeout(() => child.kill('SIGKILL'), startMilliseconds);
  const listening = await Promise.race([url, failed]).finally(() => clearTimeout(late));
  return {
    name,
    url: listening,
    pid: child.pid ?? 0,
    stop: async () => end(child, 'SIGTERM', exited),
    kill: async () => void (await end(child, 'SIGKILL', exited)),
    exited,
  };
}

// The settings of a program are what the stack gives it, and nothing that happens to be in the user's environment.
function keepUsual(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(environment).filter(
    ([name]) => !/^(SALLYPORT_|AZURE_|IDENTITY_)/.test(name),
  );
  return Object.fromEntries(own);
}

async function end(
  child: ChildProcess,
  signal: NodeJS.Signals,
  exited: Promise<number | null>,
): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  return exited;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
