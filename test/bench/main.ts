import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startBenchStack } from './bench-stack.ts';
import type { BenchStack } from './bench-stack.ts';
import { measureColdStart } from './cold-start.ts';
import { measureConnecting } from './connecting.ts';
import { measureDeciding } from './deciding.ts';
import type { Effort } from './effort.ts';
import { fullEffort, quickEffort } from './effort.ts';
import type { Part } from './figure.ts';
import { checkAudit, measureIssuing } from './issuing.ts';
import { describeMachine, formatRun } from './report.ts';

// The benchmark: `npm run bench -- [--quick] [--json FILE]`; what its figures mean is in docs/benchmark.md. A wrong answer
// anywhere ends it with an error and without figures.
const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});

const maxMilliseconds = 240_000;

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function measure(bench: BenchStack, effort: Effort): Promise<readonly Part[]> {
  say('decisions and tickets …');
  const deciding = await measureDeciding(effort);
  say('sessions issued …');
  const issuing = await measureIssuing(bench, effort);
  say('connect …');
  const connecting = await measureConnecting(bench, effort);
  say('cold start …');
  const starting = await measureColdStart(bench, effort);
  say('audit log …');
  await checkAudit(bench);
  return [...issuing, ...connecting, ...starting, ...deciding];
}

/** Rejects when the run is interrupted, or takes longer than any run should. */
async function failWhenOver(): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (reason: string) => () => reject(new Error(reason));
    setTimeout(fail('the run took too long'), maxMilliseconds).unref();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, fail(signal));
  });
}

const machine = describeMachine(new Date());
const over = failWhenOver();
// It may come while the stack starts; the race below sees it then.
over.catch(() => undefined);
let bench: BenchStack | undefined;
try {
  say('starting the stack …');
  bench = await startBenchStack();
  const parts = await Promise.race([measure(bench, values.quick ? quickEffort : fullEffort), over]);
  process.stdout.write(`${formatRun(machine, parts)}\n`);
  if (values.quick) process.stdout.write('\nA quick run: its figures mean nothing.\n');
  const run = { quick: values.quick, machine, parts };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(run, null, 2)}\n`);
} catch (failure) {
  console.error(failure);
  for (const line of bench?.lines ?? []) say(line);
  process.exitCode = 1;
} finally {
  await bench?.close();
}
// What an abandoned measurement still waits for must not hold the process.
process.exit();
