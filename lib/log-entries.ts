import { joinParts } from './audit-parts.ts';
import type { Log } from './broker.ts';
import { parseJson } from './json.ts';
import type { Row, Table } from './table.ts';

/**
 * Returns the table of the audit log, which writes one line of the operator's log for each entry once it is stored. What
 * it does with entries is the same, and takes as long; a process that dies in between has stored what it did not log.
 */
export function logEntries(table: Table, log: Log): Table {
  return {
    ...table,
    insertAll: async (rows) => {
      const outcome = await table.insertAll(rows);
      // Whoever waits for the entry goes first.
      if (outcome === 'inserted') setImmediate(logRows, log, rows);
      return outcome;
    },
  };
}

function logRows(log: Log, rows: readonly Row[]): void {
  try {
    for (const row of rows) logEntry(log, row);
  } catch {
    // The entries are safe. Thrown from here, a log that is broken would end the process.
  }
}

function logEntry(log: Log, { partition: chain, row, values }: Row): void {
  const { h: hash } = values;
  log('audit', { chain, seq: Number(row), hash, body: parseJson(joinParts(values)) });
}
