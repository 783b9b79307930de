import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { readAudit } from '../support/test-stack.ts';
import { checkDiscovery, getDiscovery, parseGranted, putSession } from './api.ts';
import type { BenchStack } from './bench-stack.ts';
import type { Effort } from './effort.ts';
import type { Figure, Part } from './figure.ts';
import { toFigure } from './figure.ts';
import { runLoad } from './load.ts';
import { canReadProcessTime, readProcessTime } from './process-time.ts';

/** The kinds of load that take turns: what is sold, and two floors below it. */
const kinds = ['session', 'discovery', 'inserts'] as const;

type Kind = (typeof kinds)[number];

const names: Readonly<Record<Kind, string>> = {
  session: 'session',
  discovery: 'GET /.well-known/sallyport',
  inserts: '3 inserts at once',
};

/** One round of one kind, with the CPU time that each call cost. */
type Round = {
  readonly perSecond: number;
  readonly milliseconds: readonly number[];
  readonly cpu: { readonly broker: number; readonly tables: number; readonly client: number };
};

type Rounds = Readonly<Record<Kind, readonly Round[]>>;

/** All rounds with one number of callers. */
type Series = { readonly callers: number; readonly rounds: Rounds };

/** Measures how many sessions are issued and what each costs, in turns with the floors of host and storage. */
export async function measureIssuing(
  bench: BenchStack,
  { warmUp, rounds: count, loads }: Effort,
): Promise<readonly Part[]> {
  for (const kind of kinds) await runRound(bench, kind, { callers: 8, sessions: warmUp });
  const all: Series[] = [];
  for (const load of loads) {
    const rounds: Record<Kind, Round[]> = { session: [], discovery: [], inserts: [] };
    for (let round = 0; round < count; round += 1)
      for (const kind of kinds) rounds[kind].push(await runRound(bench, kind, load));
    all.push({ callers: load.callers, rounds });
  }
  return [
    toPart('Sessions issued per second, and the floors of host and storage', all, {
      unit: '1/s',
      read: ({ perSecond }) => [perSecond],
    }),
    toPart('Time of one of these calls', all, {
      unit: 'ms',
      read: ({ milliseconds }) => milliseconds,
    }),
    toCpuPart(all),
  ];
}

/** Throws when a session was granted whose ticket is not in the audit log. */
export async function checkAudit(bench: BenchStack): Promise<void> {
  const entries = await readAudit(bench.openTable('audit'));
  const issued = entries.filter(({ type }) => type === 'ticket.issued');
  const recorded = new Set(issued.map((entry) => entry['session']));
  const missing = bench.granted.filter((id) => !recorded.has(id));
  if (missing.length > 0)
    throw new Error(`${String(missing.length)} tickets are not in the audit log`);
}

async function runRound(
  bench: BenchStack,
  kind: Kind,
  { callers, sessions: count }: Effort['loads'][number],
): Promise<Round> {
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  const before = readTimes(bench);
  try {
    const { perSecond, milliseconds, check } = await runKind(bench, kind, agent, {
      callers,
      count,
    });
    const after = readTimes(bench);
    check();
    const cpu = {
      broker: (after.broker - before.broker) / count,
      tables: (after.tables - before.tables) / count,
      client: (after.client - before.client) / count,
    };
    return { perSecond, milliseconds, cpu };
  } finally {
    agent.destroy();
  }
}

type Ran = Pick<Round, 'perSecond' | 'milliseconds'> & {
  /** Looks at the answers, once the clock has stopped. Throws when one is not what was asked for. */
  readonly check: () => void;
};

async function runKind(
  bench: BenchStack,
  kind: Kind,
  agent: Agent,
  load: { readonly callers: number; readonly count: number },
): Promise<Ran> {
  const { url, tokens, wish } = bench;
  if (kind === 'discovery') {
    const ran = await runLoad(load, async () => getDiscovery(url, agent));
    return { ...ran, check: () => ran.answers.forEach(checkDiscovery) };
  }
  if (kind === 'inserts') {
    const table = bench.openTable('bench');
    const ran = await runLoad(load, async () =>
      Promise.all(Array.from({ length: 3 }, async () => table.insert(makeRow()))),
    );
    return { ...ran, check: () => checkInserted(ran.answers.flat()) };
  }
  const ran = await runLoad(load, async (index) => {
    const token = tokens[index % tokens.length] ?? '';
    return putSession(url, agent, { token, wish });
  });
  return { ...ran, check: () => keepGranted(bench, ran.answers.map(parseGranted)) };
}

function makeRow() {
  return { partition: randomUUID(), row: 'bench', values: { b: 'b'.repeat(500) } };
}

function checkInserted(outcomes: readonly string[]): void {
  if (outcomes.some((outcome) => outcome !== 'inserted')) throw new Error('a row was not inserted');
}

function keepGranted(bench: BenchStack, granted: readonly ReturnType<typeof parseGranted>[]): void {
  const tickets = new Set(granted.map(({ ticket }) => ticket.ticket));
  if (tickets.size !== granted.length) throw new Error('a ticket was handed out twice');
  bench.granted.push(...granted.map(({ id }) => id));
}

function readTimes({ broker, tables }: BenchStack): Round['cpu'] {
  const { user, system } = process.cpuUsage();
  const read = canReadProcessTime ? readProcessTime : () => Number.NaN;
  return {
    broker: read(broker.pid),
    tables: read(tables.pid),
    client: (user + system) / 1000,
  };
}

type Measure = {
  readonly unit: string;
  readonly read: (round: Round) => readonly number[];
};

function toPart(title: string, all: readonly Series[], measure: Measure): Part {
  return { title, figures: all.flatMap((series) => compare(series, kinds, measure)), notes: [] };
}

function toCpuPart(all: readonly Series[]): Part {
  const title = 'CPU time of one of these calls, by process';
  if (!canReadProcessTime)
    return { title, figures: [], notes: ['Left out: this system has no /proc to read it from.'] };
  // Only the floors in which a process has a part say something about it.
  const parts = [
    { process: 'broker', taken: ['session', 'discovery'] },
    { process: 'tables', taken: ['session', 'inserts'] },
    { process: 'client', taken: kinds },
  ] as const;
  const figures = parts.flatMap(({ process, taken }) =>
    all.flatMap((series) => {
      const measure: Measure = { unit: 'ms', read: ({ cpu }) => [cpu[process]] };
      return compare(series, taken, measure, `${process}: `);
    }),
  );
  return { title, figures, notes: [] };
}

/** Makes one figure of each kind; the floors are compared with the session. */
function compare(
  { callers, rounds }: Series,
  taken: readonly Kind[],
  { unit, read }: Measure,
  prefix = '',
): readonly Figure[] {
  const toFigureOf = (kind: Kind, base?: Figure): Figure => {
    const name = `${prefix}${names[kind]}, ${toCallers(callers)}`;
    return toFigure(
      { name, unit, ...(base === undefined ? {} : { base }) },
      rounds[kind].flatMap(read),
    );
  };
  const session = toFigureOf('session');
  const floors = taken.filter((kind) => kind !== 'session');
  return [session, ...floors.map((kind) => toFigureOf(kind, session))];
}

function toCallers(count: number): string {
  return count === 1 ? '1 caller' : `${String(count)} callers`;
}
