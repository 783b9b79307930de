import * as z from 'zod';
import { joinParts, splitParts } from './audit-parts.ts';
import type { Notice } from './notice.ts';
import { inTurns } from './in-turns.ts';
import { toOldestFirst } from './session-index.ts';
import type { Row, StoredRow, Table } from './table.ts';

/** A notice that waits to be sent to one webhook, and how often that has failed. */
export type Waiting = Notice & {
  readonly attempts: number;
  readonly row: string;
};

const waitingShape = z.object({
  id: z.string(),
  type: z.string(),
  time: z.string(),
  attempts: z.int(),
});

/** Stores notices for a webhook, durable once resolved; to store one again changes nothing while it waits for its first attempt. */
export async function storeNotices(
  state: Table,
  webhook: string,
  notices: readonly Notice[],
): Promise<void> {
  // One by one: together, large ones would be more than a transaction holds.
  await inTurns(notices, async (notice) =>
    state.put([toRow(webhook, { ...notice, attempts: 0 }, new Date(notice.time))]),
  );
}

/** Returns the notices for a webhook that are due, those that have been for longest first. */
export async function listDue(
  state: Table,
  webhook: string,
  now: Date,
  limit: number,
): Promise<readonly Waiting[]> {
  const rows = await state.list(toPartition(webhook), { before: toOldestFirst(now), limit });
  return rows.map(toWaiting);
}

/** Puts a notice off until it is `due`. A process that dies in between leaves it in both places, and it is sent twice. */
export async function postpone(
  state: Table,
  webhook: string,
  waiting: Waiting,
  due: Date,
): Promise<void> {
  await state.put([toRow(webhook, waiting, due)]);
  await removeNotice(state, webhook, waiting);
}

/** Removes a notice that has been delivered, or that nobody will send any more. */
export async function removeNotice(
  state: Table,
  webhook: string,
  { row }: Pick<Waiting, 'row'>,
): Promise<void> {
  await state.remove(toPartition(webhook), row);
}

function toRow(webhook: string, waiting: Omit<Waiting, 'row'>, due: Date): Row {
  const { id, type, time, body, attempts } = waiting;
  return {
    partition: toPartition(webhook),
    row: `${toOldestFirst(due)}|${id}`,
    values: { id, type, time, attempts, ...splitParts(body) },
  };
}

function toWaiting({ row, values }: StoredRow): Waiting {
  return { row, ...waitingShape.parse(values), body: joinParts(values) };
}

function toPartition(webhook: string): string {
  return `notice|${webhook}`;
}
