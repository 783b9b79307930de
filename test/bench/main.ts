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
import { measureSimulating } from './simulating.ts';
import { measureTickets } from './tickets.ts';

// The benchmark: `npm run bench -- [--quick] [--json FILE] [name…]`, of everything unless names say of what; what its
// figures mean is in docs/benchmark.md. A wrong answer anywhere ends it with an error and without figures.
const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
  allowPositionals: true,
});

const maxMilliseconds = 420_000;

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Starts the stack when it is first asked for. */
type OpenStack = () => Promise<BenchStack>;

type Measure = (open: OpenStack, effort: Effort) => Promise<readonly Part[]>;

/** What can be measured, by name, in the order of the report. */
const measures: ReadonlyMap<string, Measure> = new Map<string, Measure>([
  ['sessions', async (open, effort) => measureIssuing(await open(), effort)],
  ['connect', async (open, effort) => measureConnecting(await open(), effort)],
  ['start', async (open, effort) => measureColdStart(await open(), effort)],
  ['policy', async (_, effort) => measureDeciding(effort)],
  ['tickets', async (_, effort) => measureTickets(effort)],
  ['simulate', async (open, effort) => measureSimulating(await open(), effort)],
]);

function chooseMeasures(names: readonly string[]): readonly (readonly [string, Measure])[] {
  const unknown = names.find((name) => !measures.has(name));
  if (unknown !== undefined)
    throw new Error(`${unknown} is none of ${[...measures.keys()].join(', ')}`);
  return [...measures].filter(([name]) => names.length === 0 || names.includes(name));
}

async function measure(open: OpenStack, effort: Effort): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (const [name, run] of chooseMeasures(positionals)) {
    say(`${name} …`);
    parts.push(...(await run(open, effort)));
  }
  if (opening === undefined) return parts;
  say('audit log …');
  await checkAudit(await opening);
  return parts;
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
let opening: Promise<BenchStack> | undefined;
const openStack: OpenStack = async () => (opening ??= startBenchStack());
/** The stack, once it has started; undefined when nobody asked for it, or when it did not start. */
const findStack = async (): Promise<BenchStack | undefined> => opening?.catch(() => undefined);
try {
  const effort = values.quick ? quickEffort : fullEffort;
  const parts = await Promise.race([measure(openStack, effort), failWhenOver()]);
  process.stdout.write(`${formatRun(machine, parts)}\n`);
  if (values.quick) process.stdout.write('\nA quick run: its figures mean nothing.\n');
  const run = { quick: values.quick, machine, parts };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(run, null, 2)}\n`);
} catch (failure) {
  console.error(failure);
  for (const line of (await findStack())?.lines ?? []) say(line);
  process.exitCode = 1;
} finally {
  await (await findStack())?.close();
}
// What an abandoned measurement still waits for must not hold the process.
process.exit();
