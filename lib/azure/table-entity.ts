import type { Row, StoredRow, Value } from '../table.ts';

/** A row in the form of `@azure/data-tables`. */
export type Entity = {
  readonly partitionKey: string;
  readonly rowKey: string;
  readonly [property: string]: string | bigint | boolean;
};

// What the service calls its own, in its spelling and in the SDK's.
const reserved = /^(?:partitionkey|rowkey|timestamp|etag)$/i;

const maxStringLength = 32_000;

/** Returns the row as an entity, or throws when the table could not return it as it is. */
export function toEntity(row: Row): Entity {
  const properties = Object.entries(row.values).map(([name, value]) => {
    if (!isPropertyName(name)) throw new Error(`${name} cannot be the name of a value`);
    return [name, toProperty(name, value)] as const;
  });
  return {
    ...Object.fromEntries(properties),
    partitionKey: checkKey(row.partition),
    rowKey: checkKey(row.row),
  };
}

/** Returns the row that an entity holds, or throws when it holds a type of value that no row has. */
export function toStoredRow(entity: Readonly<Record<string, unknown>>): StoredRow {
  const { partitionKey, rowKey, etag } = entity;
  if (typeof partitionKey !== 'string' || typeof rowKey !== 'string' || typeof etag !== 'string')
    throw new Error('an entity without keys or etag came from the table');
  const values = Object.entries(entity)
    .filter(([name]) => isPropertyName(name))
    .map(([name, property]) => [name, toValue(name, property)] as const);
  return { partition: partitionKey, row: rowKey, etag, values: Object.fromEntries(values) };
}

/** Whether both rows hold exactly the same values. */
export function isSameValues(one: Row['values'], other: Row['values']): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
  );
}

// Printable ASCII only: the service takes more, but then orders, pages and signs it differently from one client to the
// next. `%` is legal and yet breaks some of them.
function checkKey(key: string): string {
  if (!/^[ -~]{1,512}$/.test(key) || /[/\\#?%]/.test(key))
    throw new Error(`a table key is malformed: ${JSON.stringify(key.slice(0, 40))}`);
  return key;
}

function isPropertyName(name: string): boolean {
  return /^[A-Za-z]\w{0,254}$/.test(name) && !reserved.test(name);
}

function toProperty(name: string, value: Value): string | bigint | boolean {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Error(`${name} is not a safe integer`);
    // Untyped, the service takes a number for an Int32, and refuses a time in milliseconds.
    return BigInt(value);
  }
  if (typeof value === 'string' && (value.length > maxStringLength || !value.isWellFormed()))
    throw new Error(`${name} is too long or holds a lone surrogate`);
  return value;
}

function toValue(name: string, property: unknown): Value {
  if (typeof property === 'bigint') return Number(property);
  if (typeof property === 'string' || typeof property === 'boolean') return property;
  if (typeof property === 'number') return property;
  throw new Error(`${name} came from the table as a type that no row has`);
}
