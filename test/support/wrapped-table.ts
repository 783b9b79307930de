import { BrokerError } from '../../lib/failure.ts';
import type { Table } from '../../lib/table.ts';
import type { TableFault } from './memory-table.ts';

/** Does a call, or not, or does something before or after it. */
export type Around = <T>(act: () => Promise<T>) => Promise<T>;

/** Returns a table whose calls all go through one function: that of one process among several that share it. */
export function wrapTable(table: Table, around: Around): Table {
  return {
    insert: async (row) => around(async () => table.insert(row)),
    insertAll: async (rows) => around(async () => table.insertAll(rows)),
    find: async (partition, row) => around(async () => table.find(partition, row)),
    replace: async (row) => around(async () => table.replace(row)),
    put: async (rows) => around(async () => table.put(rows)),
    remove: async (partition, row) => around(async () => table.remove(partition, row)),
    list: async (partition, range) => around(async () => table.list(partition, range)),
  };
}

/** What happens to the calls of one process until `end`, which returns how many there were. */
export type Hitch = { readonly around: Around; readonly end: () => number };

/** Returns what holds the n-th call, counted from zero, until a function has been called and has resolved. */
export function holdCall(at: number, meanwhile: () => Promise<unknown>): Hitch {
  return startHitch(async (call, act) => {
    if (call === at) await meanwhile();
    return act();
  });
}

/** Returns what fails at the n-th call, before or after it is carried out; one that is dead does nothing after that. */
export function failCall(at: number, fault: TableFault, isDeath: boolean): Hitch {
  return startHitch(async (call, act) => {
    if ((call === at && fault === 'before') || (isDeath && at < call)) throw outage();
    const result = await act();
    if (call === at) throw outage();
    return result;
  });
}

function startHitch(around: <T>(call: number, act: () => Promise<T>) => Promise<T>): Hitch {
  let calls = 0;
  let hasEnded = false;
  return {
    around: async (act) => {
      if (hasEnded) return act();
      calls += 1;
      return around(calls - 1, act);
    },
    end: () => {
      hasEnded = true;
      return calls;
    },
  };
}

/** Returns the failure of a table that does not answer. */
export function outage(): BrokerError {
  return new BrokerError('state-unavailable', 'Try again in a few seconds.');
}
