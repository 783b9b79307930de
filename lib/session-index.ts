import type { Approval } from './approval.ts';
import { toDelegationPartition } from './delegation.ts';
import type { Session } from './session.ts';
import type { Row } from './table.ts';
import { toKey } from './table-key.ts';

// Row keys sort ascending; a time counted down from here puts the newest first.
const endOfTime = 9_999_999_999_999;

// Times come from callers too, and a key must keep its length to keep its place.
const toDigits = (milliseconds: number): string =>
  String(Math.min(Math.max(milliseconds, 0), endOfTime)).padStart(13, '0');

/** How many partitions the due list is spread over: one for each first hex digit of a session id. */
export const dueBuckets = Array.from({ length: 16 }, (_, digit) => digit.toString(16));

/** Returns the key of a time, newest first. */
export function toNewestFirst(time: Date): string {
  return toDigits(endOfTime - Math.max(time.getTime(), 0));
}

/** Returns the key of a time, oldest first. */
export function toOldestFirst(time: Date): string {
  return toDigits(time.getTime());
}

/** Returns the partition that lists the sessions of one caller. */
export function toCallerPartition(caller: string): string {
  return `u|${toKey(caller)}`;
}

/** Returns the partition that lists the sessions that others have made in the name of one person. */
export function toPersonPartition(person: string): string {
  return `for|${toKey(person)}`;
}

/** Returns the partition that lists all sessions made on one UTC day. */
export function toDayPartition(day: Date): string {
  return `day|${day.toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Returns the rows by which a session is found: by caller, by day, and by the person for whom the caller acts. */
export function toIndexRows(session: Session): readonly Row[] {
  const createdAt = new Date(session.createdAt);
  // By the nonce of the attempt and not by the session's id: of two attempts under one id, each removes its own rows.
  const newest = `session|${toNewestFirst(createdAt)}|${session.nonce}`;
  const values = { session: session.id };
  return [
    { partition: toCallerPartition(session.caller.id), row: newest, values },
    { partition: toDayPartition(createdAt), row: newest, values },
    ...(session.onBehalfOf === undefined
      ? []
      : [{ partition: toPersonPartition(session.onBehalfOf.id), row: newest, values }]),
  ];
}

/** The rows of a delegation's partition that list its open sessions. */
export const delegatedRange = { from: 'session|', before: 'session}' } as const;

/** Returns the row by which the end of its delegation finds a session, until it has ended. */
export function toDelegatedRows({ id, nonce, delegation }: Session): readonly Row[] {
  if (delegation === undefined) return [];
  const partition = toDelegationPartition(delegation.id);
  return [{ partition, row: `session|${nonce}`, values: { session: id } }];
}

/** Returns the place of a session in the list of those that are still to end. */
export function toDueKey(session: Session): { readonly partition: string; readonly row: string } {
  const row = `${toOldestFirst(new Date(session.deadline))}|${session.nonce}`;
  return { partition: `due|${session.nonce.slice(0, 1)}`, row };
}

/**
 * Returns the row by which a session is ended: at its deadline, or now when an order to end it stands in it. It is there
 * before the session is, and until the session has ended, whatever process dies in between.
 */
export function toDueRow(session: Session): Row {
  return { ...toDueKey(session), values: { session: session.id } };
}

/** The partition that lists what waits for an approval, oldest first. There are few: each takes a place of its caller. */
export const pendingPartition = 'pending';

/** Returns the row by which approvers find what waits for them, with the groups that may decide, apart by spaces. */
export function toPendingRow({ id, nonce }: Session, approval: Approval): Row {
  const { requestedAt, digest, needs } = approval;
  // With the nonce: two attempts under one id at one time ask for the same, and each removes its own row.
  const row = `${toOldestFirst(new Date(requestedAt))}|${nonce}|${digest}`;
  const groups = needs.map(({ group }) => group).join(' ');
  return { partition: pendingPartition, row, values: { session: id, digest, groups } };
}

/** The partition that lists the sessions that are being made ready. */
export const preparingPartition = 'preparing';

/**
 * Returns the row by which a session that is being made ready is found, whatever process began that. It is there before
 * the session is being made ready, and good for nothing after its deadline (`until`, in milliseconds since the epoch).
 */
export function toPreparingRow({ id, nonce, deadline }: Session): Row {
  const values = { session: id, until: new Date(deadline).getTime() };
  return { partition: preparingPartition, row: nonce, values };
}

/** Returns the rows by which a session is found while it waits: for an approval, or to be made ready. */
export function toWaitingRows(session: Session): readonly Row[] {
  const { state, approval, extension, preparation } = session;
  const isPrepared = preparation !== undefined && state !== 'pendingApproval';
  return [
    ...[approval, extension].flatMap((one) =>
      one === undefined ? [] : [toPendingRow(session, one)],
    ),
    ...(isPrepared ? [toPreparingRow(session)] : []),
  ];
}
