import type { LoadedFunction, Report } from './functions-core.ts';
import { findNextRun, parseSchedule } from './schedule.ts';

/** The timers of a running app. `stop` resolves when the last run under way has ended. */
export interface Timers {
  readonly run: (name: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

// The longest wait that setTimeout counts correctly.
const maxWaitMilliseconds = 2 ** 31 - 1;

/** Runs each timer function by its schedule. INVARIANT: a function never runs twice at a time. */
export function startTimers(functions: readonly LoadedFunction[], report: Report): Timers {
  const timers = functions
    .filter((loaded) => loaded.type === 'timer')
    .map((loaded) => startTimer(loaded, report));
  return {
    run: async (name) => {
      const timer = timers.find((candidate) => candidate.name === name);
      if (!timer) throw new Error(`There is no timer named "${name}".`);
      await timer.run();
    },
    stop: async () => {
      await Promise.all(timers.map((timer) => timer.stop()));
    },
  };
}

interface Timer {
  readonly name: string;
  readonly run: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

function startTimer(loaded: LoadedFunction, report: Report): Timer {
  const schedule = parseSchedule(loaded.schedule);
  let pending: NodeJS.Timeout | undefined;
  // Every run waits for the one before it, whoever asked for it.
  let last: Promise<void> = Promise.resolve();
  let isStopped = false;

  const run = (): Promise<void> => {
    const next = last.then(() => invoke(loaded, findNextRun(schedule, new Date()), report));
    last = next.catch(() => undefined);
    return next;
  };
  const plan = (due: Date): void => {
    if (isStopped) return;
    const wait = Math.max(0, due.getTime() - Date.now());
    const fire = (): void => {
      if (wait > maxWaitMilliseconds) plan(due);
      // The failure is reported already; the next run is due all the same.
      else void run().then(planNext, planNext);
    };
    pending = setTimeout(fire, Math.min(wait, maxWaitMilliseconds));
  };
  const planNext = (): void => plan(findNextRun(schedule, new Date()));

  planNext();
  return {
    name: loaded.name,
    run,
    stop: async () => {
      isStopped = true;
      clearTimeout(pending);
      await last;
    },
  };
}

async function invoke(loaded: LoadedFunction, next: Date, report: Report): Promise<void> {
  const started = new Date();
  const status = { Last: started, Next: next, LastUpdated: started };
  const input = { Schedule: { AdjustForDST: true }, ScheduleStatus: status, IsPastDue: false };
  const facts = { function: loaded.name };
  try {
    await loaded.invoke({ json: JSON.stringify(input) }, (level, message) =>
      report('log', { ...facts, level, message }),
    );
    report('timer', { ...facts, milliseconds: Date.now() - started.getTime() });
  } catch (cause) {
    report('failure', { ...facts, error: String(cause) });
    throw cause;
  }
}
