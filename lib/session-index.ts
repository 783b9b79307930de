import type { Session } from './session.ts';
import type { Row } from './table.ts';
import { toKey } from './table-key.ts';

// Row keys sort ascending; a time counted down from here puts the newest first.
const endOfTime = 9_999_999_999_999;

/** How many partitions the due list is spread over: one for each first hex digit of a session id. */
export const dueBuckets = Array.from({ length: 16 }, (_, digit) => digit.toString(16));

/** Returns the key of a time, newest first. */
export function toNewestFirst(time: Date): string {
  return String(endOfTime - time.getTime()).padStart(13, '0');
}

/** Returns the key of a time, oldest first. */
export function toOldestFirst(time: Date): string {
  return String(time.getTime()).padStart(13, '0');
}

/** Returns the partition that lists the sessions of one caller. */
export function toCallerPartition(caller: string): string {
  return `u|${toKey(caller)}`;
}

/** Returns the partition that lists all sessions made on one UTC day. */
export function toDayPartition(day: Date): string {
  return `day|${day.toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Returns the rows by which a session is found: by caller, by day, and by deadline. */
export function toIndexRows(session: Session): readonly [Row, Row, Row] {
  const createdAt = new Date(session.createdAt);
  const newest = `session|${toNewestFirst(createdAt)}|${session.id}`;
  const values = { session: session.id };
  return [
    { partition: toCallerPartition(session.caller.id), row: newest, values },
    { partition: toDayPartition(createdAt), row: newest, values },
    { ...toDueKey(session), values },
  ];
}

/** Returns the place of a session in the list of those that are still to end. */
export function toDueKey(session: Session): { readonly partition: string; readonly row: string } {
  const row = `${toOldestFirst(new Date(session.deadline))}|${session.id}`;
  return { partition: `due|${session.id.slice(0, 1)}`, row };
}
