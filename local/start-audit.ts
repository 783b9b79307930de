import * as z from 'zod';
import { openTable } from '../lib/azure/table.ts';
import type { Row } from '../lib/table.ts';

const entryShape = z.looseObject({
  type: z.string(),
  time: z.iso.datetime(),
  chain: z.string(),
  seq: z.int(),
  session: z.string().optional(),
});

/** An audit entry; see `docs/audit-format.md`. */
export type TrailEntry = Readonly<z.infer<typeof entryShape>>;

const dayMilliseconds = 86_400_000;

/** Returns what the audit log says about a session of the last hours, in the order in which it was written. */
export async function readTrail(
  tablesUrl: string,
  session: string,
  now: Date,
): Promise<readonly TrailEntry[]> {
  const audit = openTable({ url: new URL(tablesUrl), name: 'audit', createIfMissing: false });
  // A chain is of one day, and the day may have ended meanwhile.
  const days = [toDay(now.getTime() - dayMilliseconds), toDay(now.getTime())];
  const listed = await Promise.all(days.map(async (day) => audit.list(`chains|${day}`)));
  const chains = await Promise.all(listed.flat().map(async ({ row }) => audit.list(row)));
  return chains
    .flat()
    .map(parseEntry)
    .filter((entry) => entry.session === session);
}

function toDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10).replaceAll('-', '');
}

// A long body goes on in `b1`, `b2` and so forth.
function parseEntry({ values }: Row): TrailEntry {
  const parts = [values['b']];
  while (values[`b${parts.length}`] !== undefined) parts.push(values[`b${parts.length}`]);
  return entryShape.parse(JSON.parse(parts.map(String).join('')));
}
