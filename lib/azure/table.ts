import type { TableClient, TableEntityResultPage, TransactionAction } from '@azure/data-tables';
import { odata } from '@azure/data-tables';
import type { Range, Row, StoredRow, Table } from '../table.ts';
import type { Operation } from './table-attempt.ts';
import { UnclearAnswer, attempt, findErrorCode } from './table-attempt.ts';
import type { TableSettings } from './table-client.ts';
import { openClient } from './table-client.ts';
import type { Entity } from './table-entity.ts';
import { isSameValues, toEntity, toStoredRow } from './table-entity.ts';

type Connection = {
  readonly client: TableClient;
  readonly send: <T>(operation: Operation<T>) => Promise<T>;
};

type Place = Pick<Row, 'partition' | 'row'>;

const maxTransactionRows = 100;
const maxPageRows = 1000;

/**
 * Opens a table of Azure Table storage. Nothing is sent before the first call. A call ends within five seconds, a list
 * within five seconds for each thousand rows.
 */
export function openTable(settings: TableSettings): Table {
  const client = openClient(settings);
  const create = settings.createIfMissing ? createOnce(client) : undefined;
  const send = async <T>(operation: Operation<T>): Promise<T> => {
    await create?.();
    return attempt(operation);
  };
  const table = { client, send };
  return {
    insert: (row) => insert(table, row),
    insertAll: (rows) => insertAll(table, rows),
    find: (partition, row) => send((signal) => read(client, { partition, row }, signal)),
    replace: (row) => replace(table, row),
    put: (rows) => put(table, rows),
    remove: (partition, row) => send((signal) => remove(client, { partition, row }, signal)),
    list: (partition, range = {}) => list(table, partition, range),
  };
}

function createOnce(client: TableClient): () => Promise<void> {
  let created: Promise<void> | undefined;
  return () =>
    (created ??= attempt((abortSignal) => client.createTable({ abortSignal })).catch(
      (error: unknown) => {
        created = undefined;
        throw error;
      },
    ));
}

async function insert({ client, send }: Connection, row: Row): Promise<'inserted' | 'exists'> {
  const entity = toEntity(row);
  return send(async (signal) => {
    try {
      await client.createEntity(entity, { abortSignal: signal });
      return 'inserted';
    } catch (error) {
      if (findErrorCode(error) !== 'EntityAlreadyExists') throw error;
      return (await isStored(client, row, signal)) ? 'inserted' : 'exists';
    }
  });
}

async function insertAll(table: Connection, rows: readonly Row[]): Promise<'inserted' | 'exists'> {
  const [first, second] = rows;
  if (first === undefined) return 'inserted';
  if (second === undefined) return insert(table, first);
  checkPartition(rows);
  if (rows.length > maxTransactionRows) throw new Error('a transaction holds up to 100 rows');
  const actions = rows.map((row): TransactionAction => ['create', toEntity(row)]);
  return table.send(async (signal) => {
    try {
      await submit(table.client, actions, signal);
      return 'inserted';
    } catch (error) {
      if (findErrorCode(error) !== 'EntityAlreadyExists') throw error;
      // All rows or none were stored, so most conflicts show in the first; the rest is read only when it is ours.
      if (!(await isStored(table.client, first, signal))) return 'exists';
      const stored = rows.map((row) => isStored(table.client, row, signal));
      return (await Promise.all(stored)).every(Boolean) ? 'inserted' : 'exists';
    }
  });
}

async function replace(
  { client, send }: Connection,
  row: StoredRow,
): Promise<'replaced' | 'changed'> {
  const entity = toEntity(row);
  return send(async (signal, sent) => {
    try {
      await client.updateEntity(entity, 'Replace', { etag: row.etag, abortSignal: signal });
      return 'replaced';
    } catch (error) {
      const code = findErrorCode(error);
      if (code !== 'UpdateConditionNotSatisfied' && code !== 'ResourceNotFound') throw error;
      // An earlier attempt, of which nothing was heard, may be what changed the row.
      return sent > 0 && (await isStored(client, row, signal)) ? 'replaced' : 'changed';
    }
  });
}

async function put({ client, send }: Connection, rows: readonly Row[]): Promise<void> {
  checkPartition(rows);
  const actions = rows.map((row): TransactionAction => ['upsert', toEntity(row), 'Replace']);
  for (let start = 0; start < rows.length; start += maxTransactionRows) {
    const group = actions.slice(start, start + maxTransactionRows);
    await send((signal) => submit(client, group, signal));
  }
}

async function remove(client: TableClient, place: Place, signal: AbortSignal): Promise<void> {
  try {
    await client.deleteEntity(place.partition, place.row, { abortSignal: signal });
  } catch (error) {
    if (findErrorCode(error) !== 'ResourceNotFound') throw error;
  }
}

async function list(
  { client, send }: Connection,
  partition: string,
  range: Range,
): Promise<readonly StoredRow[]> {
  const { limit = Number.POSITIVE_INFINITY } = range;
  const query = { filter: toFilter(partition, range) };
  const rows: StoredRow[] = [];
  let position: Position | undefined = {};
  while (position !== undefined && rows.length < limit) {
    const settings: Position = {
      maxPageSize: Math.min(limit - rows.length, maxPageRows),
      ...position,
    };
    const page: Page = await send((signal) => readPage(client, query, settings, signal));
    rows.push(...page.map(toStoredRow));
    // A page may hold fewer rows than asked for, even none, while more pages follow.
    const { continuationToken } = page;
    position = continuationToken === undefined ? undefined : { continuationToken };
  }
  return rows;
}

type Page = TableEntityResultPage<Entity>;

type Position = { readonly continuationToken?: string; readonly maxPageSize?: number };

async function readPage(
  client: TableClient,
  queryOptions: { filter: string },
  position: Position,
  abortSignal: AbortSignal,
): Promise<Page> {
  const pages = client.listEntities<Entity>({ queryOptions, abortSignal }).byPage(position);
  for await (const page of pages) return page;
  throw new UnclearAnswer('a list had no page');
}

function toFilter(partition: string, { from, before }: Range): string {
  const parts = [odata`PartitionKey eq ${partition}`];
  if (from !== undefined) parts.push(odata`RowKey ge ${from}`);
  if (before !== undefined) parts.push(odata`RowKey lt ${before}`);
  return parts.join(' and ');
}

async function read(
  client: TableClient,
  place: Place,
  signal: AbortSignal,
): Promise<StoredRow | undefined> {
  try {
    const options = { abortSignal: signal };
    return toStoredRow(await client.getEntity<Entity>(place.partition, place.row, options));
  } catch (error) {
    // Not just any 404: a missing table is a fault, not an absent row.
    if (findErrorCode(error) !== 'ResourceNotFound') throw error;
    return undefined;
  }
}

async function isStored(client: TableClient, row: Row, signal: AbortSignal): Promise<boolean> {
  const stored = await read(client, row, signal);
  return stored !== undefined && isSameValues(stored.values, row.values);
}

async function submit(
  client: TableClient,
  actions: TransactionAction[],
  signal: AbortSignal,
): Promise<void> {
  const { subResponses } = await client.submitTransaction(actions, { abortSignal: signal });
  // The SDK takes an answer that was cut short for a success.
  const succeeded = subResponses.filter(({ status }) => status < 300);
  if (succeeded.length !== actions.length)
    throw new UnclearAnswer('a transaction was answered in part');
}

function checkPartition(rows: readonly Row[]): void {
  const places = new Set(rows.map(({ row }) => row));
  if (places.size < rows.length || rows.some(({ partition }) => partition !== rows[0]?.partition))
    throw new Error('a transaction holds different rows of one partition');
}
