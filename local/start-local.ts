import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { openDataFolder } from './data-folder.ts';
import type { Local } from './endpoints.ts';
import { removeEndpoints } from './endpoints.ts';
import type { Stack } from './stack.ts';
import { startStack } from './stack.ts';
import { refuseClockThatWentBack } from './start-clock.ts';
import type { StartOptions } from './start-options.ts';
import { choosePorts } from './start-ports.ts';
import type { Progress } from './start-progress.ts';
import { startTarget } from './start-target.ts';

/** The local stack with its end. */
export type RunningLocal = Local & {
  /** Where every line is that a program of the stack has written. */
  readonly logFile: string;
  /** Rejects when a program of the stack ends by itself; the message says which and where its words are. */
  readonly broken: Promise<never>;
} & AsyncDisposable;

// A session in a second terminal must not hold back the end.
const drainSeconds = '1';

/** Starts everything in the data folder, which nobody else may use meanwhile. Fails with a sentence for the user. */
export async function startLocal(options: StartOptions, progress: Progress): Promise<RunningLocal> {
  await using parts = new AsyncDisposableStack();
  const data = openDataFolder(options.data);
  const folder = data.path;
  parts.defer(data.release);
  refuseClockThatWentBack(folder, new Date());
  removeEndpoints(folder);
  parts.defer(() => removeEndpoints(folder));
  const { port: broker, gatewayPort: gateway } = options;
  const wanted = {
    ...(broker === undefined ? {} : { broker }),
    ...(gateway === undefined ? {} : { gateway }),
  };
  const ports = await choosePorts(folder, wanted);
  progress.begin('demo target');
  const target = await startTarget(folder, ports.target);
  parts.defer(target.close);
  const logFile = join(folder, 'programs.log');
  const log = createWriteStream(logFile, { mode: 0o600 });
  // Without a log the stack works as well.
  log.on('error', () => undefined);
  parts.defer(async () => new Promise<void>((resolve) => log.end(() => resolve())));
  const stack = await startStack({
    folder,
    targets: [target.listed],
    ports,
    gatewaySettings: { SALLYPORT_DRAIN_SECONDS: drainSeconds },
    onLine: (program, line) => log.write(`${program} ${line}\n`),
    onStep: progress.begin,
  });
  parts.defer(stack.close);
  progress.end();
  const broken = watchPrograms(stack, logFile);
  // At the end they all stop, and nobody waits for it here.
  broken.catch(() => undefined);
  const owned = parts.move();
  return {
    folder,
    stack,
    target,
    logFile,
    broken,
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function watchPrograms({ brokers, gateways }: Stack, logFile: string): Promise<never> {
  const programs = [...brokers, ...gateways];
  const name = await Promise.race(
    programs.map(async (program) => {
      await program.exited;
      return program.name;
    }),
  );
  throw new Error(`The program ${name} ended by itself. Its last words are in ${logFile}.`);
}
