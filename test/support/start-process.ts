import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import * as z from 'zod';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A run of `local/main.ts`, which is what `npm start` runs after the build. */
export type StartProcess = {
  readonly pid: number;
  /** What it has printed so far, on both streams. */
  readonly output: () => string;
  /** Resolves with the exit code once all output was read. */
  readonly ended: Promise<number | null>;
  readonly kill: (signal: 'SIGTERM' | 'SIGKILL') => void;
};

/** Runs it with these options. */
export function start(...args: readonly string[]): StartProcess {
  const child = spawn(process.execPath, [join(root, 'local/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ended: once(child, 'close').then(() => child.exitCode),
    kill: (signal) => child.kill(signal),
  };
}

/** Resolves once it has printed everything and waits for its end; fails with its output when it ends before. */
export async function waitUntilReady({ output, ended }: StartProcess): Promise<void> {
  const failed = ended.then(() => {
    throw new Error(output());
  });
  const isReady = vi.waitUntil(() => output().includes('Ctrl-C stops everything'), {
    timeout: 30_000,
  });
  await Promise.race([isReady, failed]);
}

const endpointsShape = z.object({
  broker: z.url(),
  gateway: z.url(),
  tokenUrl: z.url(),
  deviceAuthorizationUrl: z.url(),
  deviceUrl: z.url(),
  scope: z.string(),
  callers: z.record(z.string(), z.object({ clientId: z.string(), clientSecret: z.string() })),
});

export type StartEndpoints = z.infer<typeof endpointsShape>;

/** Returns what `endpoints.json` says, as a script would read it. */
export function readEndpoints(folder: string): StartEndpoints {
  return endpointsShape.parse(JSON.parse(readFileSync(join(folder, 'endpoints.json'), 'utf8')));
}

/** Returns the process ids of the programs that a process has started, by their script. Reads `/proc`. */
export function listPrograms(parent: number): ReadonlyMap<string, number> {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const { parent: its, words } = readProcess(name);
      const script = words.find((word) => /\/(broker\.ts|gateway\/main\.js)$/.test(word));
      if (its !== parent || script === undefined) return [];
      return [[script.replace(root, ''), Number(name)] as const];
    });
  return new Map(found);
}

function readProcess(name: string): { readonly parent: number; readonly words: readonly string[] } {
  try {
    // The name of the program, in brackets, may hold anything.
    const [, parent] = /\) \w (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
    const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
    return { parent: Number(parent), words };
  } catch {
    // It has ended meanwhile.
    return { parent: 0, words: [] };
  }
}
