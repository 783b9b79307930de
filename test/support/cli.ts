import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { TestStack } from './test-stack.ts';

/** The built command. */
export const cliScript = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** What a run of the command left. */
export type Run = {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

/** The environment in which the command acts as a demo caller of a stack, as a pipeline would set it. */
export async function toCliEnvironment(
  stack: TestStack,
  caller: string,
): Promise<NodeJS.ProcessEnv> {
  return {
    ...process.env,
    SALLYPORT_BROKER: stack.url,
    SALLYPORT_CA: stack.caFile,
    SALLYPORT_CONFIG_DIR: `${stack.folder}/cli-${caller}`,
    SALLYPORT_TOKEN: await stack.getToken(caller),
  };
}

/** Starts the built command. */
export function startCli(args: readonly string[], env: NodeJS.ProcessEnv) {
  return spawn(process.execPath, [cliScript, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs the built command to its end. */
export async function runCli(
  stack: TestStack,
  caller: string,
  args: readonly string[],
): Promise<Run> {
  const child = startCli(args, await toCliEnvironment(stack, caller));
  child.stdin.end();
  return collect(child);
}

/** Runs any program to its end. */
export async function runProgram(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Run> {
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end();
  return collect(child);
}

async function collect(child: ReturnType<typeof startCli>): Promise<Run> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => out.push(part));
  child.stderr.on('data', (part: Buffer) => err.push(part));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}
