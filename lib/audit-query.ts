import * as z from 'zod';
import { toPointer, toSessionPartition, toTargetPartition } from './audit-index.ts';
import type { FoundEntry } from './audit-items.ts';
import { readItems } from './audit-items.ts';
import type { SearchBounds } from './audit-search.ts';
import { openDays, openPartition, search, toNextKey } from './audit-search.ts';
import type { AuditItem, AuditQuery } from './audit-view.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { readContinuation, signContinuation } from './continuation.ts';
import { BrokerError } from './failure.ts';
import { showOwn } from './own-entries.ts';
import { hasRole, requireRole } from './role.ts';
import { toCallerPartition, toNewestFirst } from './session-index.ts';
import type { StoredRow, Table } from './table.ts';
import type { Tail } from './unsealed-tail.ts';
import { readTail } from './unsealed-tail.ts';

/** A page of entries, newest first, and the token with which the next one is asked for. */
export type AuditPage = {
  readonly value: readonly AuditItem[];
  readonly after?: string;
  /** Whether there may be newer ones that are neither sealed nor here. */
  readonly isPartial: boolean;
};

const dayMilliseconds = 86_400_000;

// Without another bound, one looks through the days of a month.
const usualDays = 30;

const pageRows = 200;
const maxCalls = 40;

const positionShape = z.string().regex(/^[\w|\- ]{13,60}$/);

/**
 * Returns entries of the audit log: the caller's own, or all with the role `Audit.Read`. What is sealed comes from the
 * index, at a cost that follows the length of the answer; what is not sealed yet is read from the chains.
 */
export async function queryAudit(
  broker: Broker,
  caller: Caller,
  query: AuditQuery,
): Promise<AuditPage> {
  const mayReadAll = hasRole(caller, 'Audit.Read');
  if (query.caller !== undefined && query.caller !== caller.id) requireRole(caller, 'Audit.Read');
  const { list, index, checkpoints } = readParts(broker);
  const { after, ...asked } = query;
  const listing = { list: 'audit', caller: caller.id, query: asked };
  const start =
    after === undefined ? undefined : await readContinuation(broker, listing, after, positionShape);
  const scope = toScope(broker, mayReadAll ? query : { ...query, caller: caller.id });
  const bounds = toBounds(scope, start);
  // The tail first: what is sealed meanwhile is in the index before it leaves the tail.
  const tail = await readTail({ list, index, checkpoints, now: broker.now });
  const found = await find(index, scope, bounds, tail);
  const items = await readItems({ list, index }, found.entries);
  return {
    value: mayReadAll ? items : await showOwn(broker, caller, items),
    isPartial: !tail.isWhole,
    ...(found.next === undefined
      ? {}
      : { after: await signContinuation(broker, listing, found.next) }),
  };
}

/** Returns what the audit log is read with, or fails where it cannot be read back. */
export function readParts({ audit, auditIndex }: Broker) {
  if (audit.list === undefined || auditIndex === undefined)
    throw new BrokerError('audit-unavailable', 'The audit log cannot be read back here.');
  return { list: audit.list, index: auditIndex.table, checkpoints: auditIndex.checkpoints };
}

type Scope = {
  /** The partitions of the index in which an entry must be. */
  readonly partitions: readonly string[];
  readonly type: string | undefined;
  readonly from: string;
  readonly before: string;
  readonly limit: number;
};

function toScope({ now }: Broker, query: AuditQuery): Scope {
  const { caller, target, session, type, from, to, limit } = query;
  const partitions = [
    ...(session === undefined ? [] : [toSessionPartition(session)]),
    ...(caller === undefined ? [] : [toCallerPartition(caller)]),
    ...(target === undefined ? [] : [toTargetPartition(target)]),
  ];
  // Clocks of brokers may be ahead of this one.
  const last = to === undefined ? now().getTime() + dayMilliseconds : Date.parse(to) - 1;
  const usual = partitions.length === 0 ? last - usualDays * dayMilliseconds : 0;
  const first = from === undefined ? usual : Date.parse(from);
  return {
    partitions,
    type,
    limit,
    from: toNewestFirst(new Date(last)),
    before: `${toNewestFirst(new Date(first))}~`,
  };
}

function toBounds({ partitions, type, from, before, limit }: Scope, start?: string): SearchBounds {
  // Where every row is an answer, no more are read than are wanted.
  const isExact = partitions.length === 0 || (partitions.length === 1 && type === undefined);
  return {
    from: start ?? from,
    before,
    pageRows: isExact ? limit + 1 : pageRows,
    calls: { left: maxCalls },
  };
}

type Found = { readonly entries: readonly FoundEntry[]; readonly next?: string };

async function find(
  { list }: Pick<Table, 'list'>,
  scope: Scope,
  bounds: SearchBounds,
  tail: Tail,
): Promise<Found> {
  const { partitions, type, limit } = scope;
  const cursors =
    partitions.length === 0
      ? [openDays(list, type, bounds)]
      : partitions.map((partition) => openPartition(list, partition, bounds));
  const isOfType = (one: StoredRow): boolean => type === undefined || one.values['type'] === type;
  const { rows, next } = await search(cursors, bounds, limit + 1, isOfType);
  // As far as the index was searched: the rest of the tail is for the next page.
  const unsealed = findInTail(tail, scope, { from: bounds.from, before: next ?? bounds.before });
  const entries = new Map<string, FoundEntry>(
    rows.map((row) => [row.row, { pointer: toPointer(row) }]),
  );
  for (const entry of unsealed) entries.set(entry.pointer.key, entry);
  return toPage([...entries.values()], limit, next);
}

function findInTail(
  { entries }: Tail,
  { partitions, type }: Scope,
  { from, before }: { readonly from: string; readonly before: string },
): readonly FoundEntry[] {
  return entries
    .filter(({ pointer: { key } }) => from <= key && key < before)
    .filter(({ pointer }) => type === undefined || pointer.type === type)
    .filter((entry) => partitions.every((partition) => entry.partitions.has(partition)))
    .map(({ pointer, row }) => ({ pointer, row }));
}

function toPage(entries: readonly FoundEntry[], limit: number, next: string | undefined): Found {
  const sorted = entries.toSorted((one, other) => (one.pointer.key < other.pointer.key ? -1 : 1));
  const page = sorted.slice(0, limit);
  const last = limit < sorted.length ? page.at(-1) : undefined;
  if (last !== undefined) return { entries: page, next: toNextKey(last.pointer.key) };
  return { entries: page, ...(next === undefined ? {} : { next }) };
}
