import { isSameValues, toEntity, toStoredRow } from '../../lib/azure/table-entity.ts';
import { BrokerError } from '../../lib/failure.ts';
import type { Row, StoredRow, Table } from '../../lib/table.ts';

/** What goes wrong with a call: it fails before anything is stored, or after it (the answer is lost). */
export type TableFault = 'before' | 'after';

/**
 * Says what goes wrong with each call, by its name and its partition; undefined when nothing does. A promise holds the
 * call up until it resolves.
 */
export type FindTableFault = (
  operation: keyof Table,
  partition: string,
) => TableFault | undefined | Promise<TableFault | undefined>;

/** A table in memory that keeps the contract of `lib/table.ts` and fails as told. */
export type MemoryTable = Table & {
  /** All rows, ordered by partition and row. */
  readonly rows: () => readonly StoredRow[];
};

export function memoryTable(findFault: FindTableFault = () => undefined): MemoryTable {
  const stored = new Map<string, StoredRow>();
  let writes = 0;
  const find = (partition: string, row: string) => stored.get(toPlace({ partition, row }));
  const store = (row: Row): void => {
    writes += 1;
    stored.set(toPlace(row), toStoredRow({ ...toEntity(row), etag: `"${writes}"` }));
  };
  const isThere = (row: Row): boolean => {
    const values = find(row.partition, row.row)?.values;
    return values !== undefined && isSameValues(values, row.values);
  };
  const insertAll = (rows: readonly Row[]) => {
    if (rows.some((row) => find(row.partition, row.row) !== undefined))
      return rows.every(isThere) ? 'inserted' : 'exists';
    rows.forEach(store);
    return 'inserted';
  };
  const replace = (row: StoredRow) => {
    if (find(row.partition, row.row)?.etag !== row.etag) return 'changed';
    store(row);
    return 'replaced';
  };
  const sorted = () =>
    Array.from(stored.values()).sort((one, other) => (toPlace(one) < toPlace(other) ? -1 : 1));
  const call = async <T>(operation: keyof Table, partition: string, act: () => T): Promise<T> => {
    const fault = await findFault(operation, partition);
    if (fault === 'before') throw inDoubt(operation);
    const result = act();
    if (fault === 'after') throw inDoubt(operation);
    return result;
  };
  return {
    rows: sorted,
    insert: async (row) => {
      checkRows([row]);
      return call('insert', row.partition, () => insertAll([row]));
    },
    insertAll: async (rows) => {
      checkRows(rows);
      if (rows.length > 100) throw new Error('a transaction holds up to 100 rows');
      return call('insertAll', rows[0]?.partition ?? '', () => insertAll(rows));
    },
    find: async (partition, row) => call('find', partition, () => find(partition, row)),
    replace: async (row) => {
      checkRows([row]);
      return call('replace', row.partition, () => replace(row));
    },
    put: async (rows) => {
      checkRows(rows);
      return call('put', rows[0]?.partition ?? '', () => rows.forEach(store));
    },
    remove: async (partition, row) =>
      call('remove', partition, () => void stored.delete(toPlace({ partition, row }))),
    list: async (partition, { from = '', before, limit } = {}) =>
      call('list', partition, () =>
        Array.from(stored.values())
          .filter((row) => row.partition === partition && from <= row.row)
          .filter(({ row }) => before === undefined || row < before)
          .sort((one, other) => (one.row < other.row ? -1 : 1))
          .slice(0, limit),
      ),
  };
}

function toPlace({ partition, row }: Pick<Row, 'partition' | 'row'>): string {
  return `${partition}\n${row}`;
}

function checkRows(rows: readonly Row[]): void {
  rows.forEach(toEntity);
  const places = new Set(rows.map(({ row }) => row));
  if (places.size < rows.length || rows.some(({ partition }) => partition !== rows[0]?.partition))
    throw new Error('a transaction holds different rows of one partition');
}

function inDoubt(operation: string): BrokerError {
  const cause = new Error(`${operation} was told to fail`);
  return new BrokerError('state-unavailable', 'Try again in a few seconds.', {
    cause,
    retryAfterSeconds: 5,
  });
}
