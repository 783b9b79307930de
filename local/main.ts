import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toEndpoints, toExports, writeEndpoints } from './endpoints.ts';
import type { Proof } from './proof.ts';
import { prove } from './proof.ts';
import type { RunningLocal } from './start-local.ts';
import { startLocal } from './start-local.ts';
import type { StartOptions } from './start-options.ts';
import { UsageError, parseStartOptions, usage } from './start-options.ts';
import type { Progress } from './start-progress.ts';
import { createProgress } from './start-progress.ts';
import { waitForAbort, watchSignals } from './start-signals.ts';

// Everything on this machine: `npm start`. A reader that has gone, such as `head` or the terminal, is not a failure.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
const print = (line = ''): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

const code = await main(process.argv.slice(2));
// Some parts keep timers; all of them have been closed.
process.stdout.write('', () => process.exit(code));

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseStartOptions(args, process.env);
    if (options === 'help') process.stdout.write(usage);
    else await run(options);
    return 0;
  } catch (failure) {
    note(`sallyport: ${describe(failure)}`);
    return failure instanceof UsageError ? 2 : 1;
  }
}

async function run(options: StartOptions): Promise<void> {
  refuseWithoutBuild();
  const stop = watchSignals(note);
  const from = performance.now();
  print('Starting Sallyport on this machine.');
  const progress = createProgress(print);
  await using local = await startLocal(options, progress);
  const end = Promise.race([waitForAbort(stop), local.broken]);
  if (!stop.aborted) await Promise.race([proveAloud(local, progress), end]);
  if (stop.aborted) {
    if (options.once) throw new Error('Stopped before the proof was done.');
    return;
  }
  const seconds = (performance.now() - from) / 1000;
  print(`\nIt works. Ready after ${seconds.toFixed(1)} s.`);
  if (options.once) return;
  printCommands(local);
  await end;
}

async function proveAloud(local: RunningLocal, progress: Progress): Promise<void> {
  print('\nThe proof: ada asks for a session to the demo target and runs a command over SSH.');
  try {
    printTrail(await prove(local.stack, local.target, progress));
  } catch (cause) {
    const advice = `What the programs said is in ${local.logFile}.`;
    throw new Error(`The proof failed: ${describe(cause)}\n${advice}`, { cause });
  }
}

function describe(failure: unknown): string {
  // What went wrong, and then went wrong again while the parts were closed.
  if (failure instanceof SuppressedError)
    return [failure.suppressed, failure.error].map(describe).join('\n');
  return failure instanceof Error ? failure.message : String(failure);
}

function refuseWithoutBuild(): void {
  const files = ['../dist/functions', '../dist/gateway/main.js', '../dist/cli/main.js'];
  const isMissing = (file: string): boolean =>
    !existsSync(fileURLToPath(new URL(file, import.meta.url)));
  if (files.some(isMissing))
    throw new Error(
      'There is no build in dist/. Run npm start, or npm run build to see why it fails.',
    );
}

function printTrail({ session, entries }: Proof): void {
  print(`\nWhat the audit log has of session ${session}:`);
  for (const { seq, type, time } of entries)
    print(`  ${String(seq).padStart(4)}  ${type.padEnd(20)}  ${time}`);
}

function printCommands(local: RunningLocal): void {
  const file = writeEndpoints(local.folder, toEndpoints(local));
  print('\nNext, in a second terminal in this folder:\n');
  for (const line of toExports(local)) print(line);
  print();
  print('npx sallyport login --client-credentials');
  print('npx sallyport targets');
  print('npx sallyport ssh demo -- -F "$SALLYPORT_DEMO_SSH_CONFIG"');
  print(`\nScripts find all of it in ${file}. Ctrl-C stops everything.`);
}
