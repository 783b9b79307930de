import * as z from 'zod';
import type { Broker } from './broker.ts';
import { closeReasons } from './close-reason.ts';
import { toOldestFirst } from './session-index.ts';

const dayMilliseconds = 86_400_000;

/** What every gateway must learn at its next lease. */
const signalShape = z.discriminatedUnion('order', [
  z.strictObject({
    order: z.literal('close'),
    session: z.uuid(),
    reason: z.enum(closeReasons).exclude(['gateway-lost']),
  }),
  z.strictObject({
    order: z.literal('deadline'),
    session: z.uuid(),
    deadline: z.iso.datetime(),
  }),
  z.strictObject({
    order: z.literal('probe'),
    session: z.uuid(),
    /** What the broker has signed; see `probe.ts`. */
    token: z.string(),
    expiresAt: z.iso.datetime(),
  }),
]);

export type Signal = z.infer<typeof signalShape>;

/** Puts a signal into the feed from which leases are answered. */
export async function sendSignal(broker: Broker, signal: Signal): Promise<void> {
  const now = broker.now();
  await broker.state.insert({
    partition: toPartition(now),
    row: `${toOldestFirst(now)}|${broker.newId()}`,
    values: { b: JSON.stringify(signal) },
  });
}

/** Returns the signals sent since a time, oldest first. */
export async function readSignals(broker: Broker, since: Date): Promise<readonly Signal[]> {
  const from = toOldestFirst(since);
  const pages = await Promise.all(
    toDays(since, broker.now()).map(async (day) => broker.state.list(toPartition(day), { from })),
  );
  return pages.flat().map((row) => signalShape.parse(JSON.parse(String(row.values['b']))));
}

// One day more than now, because another broker's clock may be ahead of midnight already.
function toDays(since: Date, now: Date): readonly Date[] {
  const first = Math.floor(since.getTime() / dayMilliseconds);
  const last = Math.floor((now.getTime() + 60_000) / dayMilliseconds);
  return Array.from(
    { length: last - first + 1 },
    (_, i) => new Date((first + i) * dayMilliseconds),
  );
}

function toPartition(day: Date): string {
  return `sig|${day.toISOString().slice(0, 10).replaceAll('-', '')}`;
}
