import type { Audit, AuditEvent } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { MemoryTable, TableFault } from './memory-table.ts';
import { memoryTable } from './memory-table.ts';
import { memoryAudit, testBroker, testClock, testKeys } from './test-broker.ts';

/** Which call of a use case to table or audit log goes wrong, how, and whether the process dies of it. */
export type Crash = { readonly at: number; readonly fault: TableFault; readonly isDeath: boolean };

/** A broker whose state and audit log fail at one call while a crash runs, and are whole before and after. */
export type CrashBench = {
  readonly broker: Broker;
  readonly clock: ReturnType<typeof testClock>;
  readonly state: MemoryTable;
  readonly entries: readonly AuditEvent[];
  /** Runs the work with the crash, and returns how many calls it made. How the work ended is not looked at. */
  readonly run: (crash: Crash, work: () => Promise<unknown>) => Promise<number>;
};

// A pair for each of some hundred benches would take longer than all that is tested.
const keys = testKeys(testClock().now, 'https://broker.test');

/** Starts a bench with a broker of its own. */
export function startCrashBench(changes: Partial<Broker> = {}): CrashBench {
  let running: Crash | undefined;
  let calls = 0;
  const findFault = (operation?: string, partition = ''): TableFault | undefined => {
    if (running === undefined) return undefined;
    // The lists of what is due are sixteen of a kind, and come before anything is done.
    if (operation === 'list' && partition.startsWith('due|')) return undefined;
    calls += 1;
    if (calls - 1 === running.at) return running.fault;
    // What is dead does nothing more.
    return running.isDeath && running.at < calls - 1 ? 'before' : undefined;
  };
  const clock = testClock();
  const state = memoryTable(findFault);
  const whole = memoryAudit();
  const audit: Audit = {
    append: async (events) => {
      const fault = findFault();
      if (fault === 'before') throw new BrokerError('audit-unavailable', 'Try again.');
      const receipts = await whole.append(events);
      if (fault === 'after') throw new BrokerError('audit-unavailable', 'Try again.');
      return receipts;
    },
  };
  return {
    broker: testBroker({ now: clock.now, state, audit, keys, ...changes }),
    clock,
    state,
    entries: whole.entries,
    run: async (crash, work) => {
      calls = 0;
      running = crash;
      await Promise.allSettled([work()]);
      running = undefined;
      return calls;
    },
  };
}

/**
 * Runs a scenario, which returns how many calls it made, with a crash at each call in turn: before and after it,
 * survived and died of. Returns how many crashes there were.
 */
export async function crashEverywhere(
  scenario: (crash: Crash) => Promise<number>,
): Promise<number> {
  let crashes = 0;
  for (const isDeath of [false, true])
    for (const fault of ['before', 'after'] as const) {
      let isReached = true;
      for (let at = 0; isReached; at += 1) {
        isReached = at < (await runScenario(scenario, { at, fault, isDeath }));
        if (isReached) crashes += 1;
      }
    }
  return crashes;
}

async function runScenario(
  scenario: (crash: Crash) => Promise<number>,
  crash: Crash,
): Promise<number> {
  try {
    return await scenario(crash);
  } catch (cause) {
    throw new Error(`not sound after ${JSON.stringify(crash)}`, { cause });
  }
}
