import * as z from 'zod';
import { findNextDay } from './announced-chain.ts';
import { toDay } from './audit-entry.ts';
import { joinParts } from './audit-parts.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import { readCursor, signCursor } from './feed-cursor.ts';
import { readDay } from './feed-day.ts';
import type { DayPlace } from './feed-place.ts';
import { countPlaces, startDay } from './feed-place.ts';
import { parseJson } from './json.ts';
import { requireRole } from './role.ts';
import type { StoredRow, Table } from './table.ts';

/** The query of `GET /api/audit/feed`. */
export const feedQueryShape = z
  .strictObject({
    cursor: z.string().max(16_384).exactOptional().describe('From the answer before.'),
    from: z.iso
      .date()
      .exactOptional()
      .describe('The first day (UTC), where there is no cursor; today when absent.'),
    limit: z.coerce
      .number()
      .pipe(z.int().min(1).max(1000))
      .default(250)
      .describe('How many entries to answer with at most.'),
  })
  .refine(({ cursor, from }) => cursor === undefined || from === undefined, {
    path: ['from'],
    message: 'Give a cursor or a day.',
  });

export type FeedQuery = z.infer<typeof feedQueryShape>;

const feedEntryShape = z.strictObject({
  chain: z.string(),
  seq: z.int().positive(),
  hash: z
    .string()
    .describe(
      'Base64url of the SHA-256 of `sallyport-audit-1`, a line feed, and the body (RFC 8785).',
    ),
  body: z
    .record(z.string(), z.unknown())
    .exactOptional()
    .describe('What was recorded. Absent where what is stored is none, which a verifier names.'),
});

type FeedEntry = z.infer<typeof feedEntryShape>;

export const feedShape = z.strictObject({
  value: z.array(feedEntryShape).describe('Those of a chain in its order.'),
  cursor: z.string().describe('Where to go on, once what came with it is safe.'),
  more: z.boolean().describe('Whether there is more to read now.'),
});

export type Feed = z.infer<typeof feedShape>;

const maxBytes = 4 * 1024 * 1024;

// What a URL of eight thousand characters has room for. Further chains of a day wait until it is over.
const maxPlaces = 800;

const daysPerRead = 31;

/**
 * Returns what the audit log has gained since the cursor, without any entry left out: each comes at least once, and those
 * of a chain in its order. Holds no state: who reads keeps the cursor. Verifies nothing.
 */
export async function readFeed(broker: Broker, caller: Caller, query: FeedQuery): Promise<Feed> {
  requireRole(caller, 'Audit.Read');
  const { list } = broker.audit;
  if (list === undefined)
    throw new BrokerError('audit-unavailable', 'The audit log cannot be read back here.');
  const now = broker.now();
  const days =
    query.cursor === undefined ? begin(query, now) : readCursor(broker, caller.id, query.cursor);
  const read = await readDays(list, days, query.limit, now);
  return {
    value: sortByTime(read.rows.map(toFeedEntry)),
    cursor: await signCursor(broker, caller.id, read.days),
    more: read.more,
  };
}

function begin({ from }: FeedQuery, now: Date): readonly DayPlace[] {
  const today = toDay(now);
  const first = from?.replaceAll('-', '') ?? today;
  return [startDay(first < today ? first : today)];
}

type DaysRead = {
  readonly rows: readonly StoredRow[];
  readonly days: readonly DayPlace[];
  readonly more: boolean;
};

async function readDays(
  list: Table['list'],
  from: readonly DayPlace[],
  limit: number,
  now: Date,
): Promise<DaysRead> {
  const today = toDay(now);
  const rows: StoredRow[] = [];
  const days: DayPlace[] = [];
  const ahead = [...from];
  let bytes = 0;
  for (let count = 0; count < daysPerRead; count += 1) {
    const place = ahead.shift();
    if (place === undefined) return { rows, days, more: false };
    const places = [place, ...days, ...ahead].reduce((sum, one) => sum + countPlaces(one), 0);
    const room = {
      entries: limit - rows.length,
      bytes: maxBytes - bytes,
      chains: Math.max(0, maxPlaces - places),
    };
    const read = await readDay(list, place, room, now);
    rows.push(...read.rows);
    bytes += read.bytes;
    const next = findNextDay(place.day);
    if (ahead.length === 0 && next <= today) ahead.push(startDay(next));
    if (days.length > 0 || !read.isFinished || ahead.length === 0) days.push(read.place);
    if (!read.isAtEnd) break;
  }
  return { rows, days: [...days, ...ahead], more: true };
}

function toFeedEntry({ partition: chain, row, values }: StoredRow): FeedEntry {
  const body = z.record(z.string(), z.unknown()).safeParse(parseJson(joinParts(values))).data;
  return {
    chain,
    seq: Number(row),
    hash: String(values['h']),
    ...(body === undefined ? {} : { body }),
  };
}

// For those who read along. Within a chain the order stays, also where its clock went back.
function sortByTime(entries: readonly FeedEntry[]): FeedEntry[] {
  const latest = new Map<string, string>();
  const timed = entries.map((entry) => {
    const before = latest.get(entry.chain) ?? '';
    const time = entry.body?.['time'];
    if (typeof time === 'string' && before < time) latest.set(entry.chain, time);
    return { entry, time: latest.get(entry.chain) ?? '' };
  });
  return timed
    .sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0))
    .map(({ entry }) => entry);
}
