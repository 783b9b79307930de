import { spawn } from 'node:child_process';
import { receiveBanner } from './banner-server.ts';

/** A program that joins its standard input and output to the target. */
export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/**
 * Starts the command and returns the milliseconds until the banner of the target comes out of it. Rejects when something
 * else comes, or when the command fails at its end.
 */
export async function timeCommand({ file, args, env }: Command): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(file, args, { env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null)).once('close', resolve);
  });
  await receiveBanner((take, fail) => {
    child.stdout.on('data', take);
    void ended.then((code) => fail(new Error(`${file} ended with ${String(code)}: ${stderr}`)));
  });
  const milliseconds = performance.now() - startedAt;
  child.stdin.end();
  const code = await ended;
  if (code !== 0) throw new Error(`${file} ended with ${String(code)}: ${stderr}`);
  return milliseconds;
}
