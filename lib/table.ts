export type Value = string | number | boolean;

/** A row of a table. Keys hold none of `/ \ # ?` and no control character; a string value holds up to 32,000 characters. */
export type Row = {
  readonly partition: string;
  readonly row: string;
  readonly values: Readonly<Record<string, Value>>;
};

/** A row as read, with the version that a conditional write names. */
export type StoredRow = Row & { readonly etag: string };

/** A range of row keys of one partition, in ascending order: `from <= row && row < before`. */
export type Range = { readonly from?: string; readonly before?: string; readonly limit?: number };

/**
 * A table of rows (Azure Table storage). Every call is strongly consistent, ends within seconds, and fails with
 * `state-unavailable` when the outcome is in doubt.
 */
export type Table = {
  /** Durable once resolved. `inserted` also when exactly these values were there already, so that a resend is safe. */
  readonly insert: (row: Row) => Promise<'inserted' | 'exists'>;
  /** Inserts up to 100 rows of one partition, all or none; otherwise as `insert`. */
  readonly insertAll: (rows: readonly Row[]) => Promise<'inserted' | 'exists'>;
  readonly find: (partition: string, row: string) => Promise<StoredRow | undefined>;
  /** Replaces the row if it is still the version named; a row that has gone counts as changed. */
  readonly replace: (row: StoredRow) => Promise<'replaced' | 'changed'>;
  /** Inserts or replaces rows of one partition, without conditions; groups of 100 are atomic, more are not. */
  readonly put: (rows: readonly Row[]) => Promise<void>;
  /** Removes the row; one that is not there is no error. */
  readonly remove: (partition: string, row: string) => Promise<void>;
  readonly list: (partition: string, range?: Range) => Promise<readonly StoredRow[]>;
};
