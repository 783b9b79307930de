import type { Broker, GatewayPool } from './broker.ts';
import type { Caller } from './caller.ts';
import type { LeaseAnswer, LeaseRequest } from './gateway-call.ts';
import type { Live } from './live-connection.ts';
import {
  findBytes,
  recordClose,
  requireOwnProcess,
  toBytesRow,
  toGatewayRow,
  toLive,
  toLivePartition,
} from './live-connection.ts';
import type { Lock } from './lock.ts';
import { findLock, readLocks } from './lock.ts';
import { requireGateway } from './require-gateway.ts';
import { findSessionBytes } from './session-bytes.ts';
import type { Signal } from './signal.ts';
import { readSignals } from './signal.ts';
import type { StoredRow } from './table.ts';

// Signals carry the time of the broker that sent them. Reading this far back covers clocks that differ, a write that
// took long, and a redemption that was under way when the signal was sent.
const overlapMilliseconds = 60_000;

// A gateway that names no cursor may have redeemed tickets since it started, and one that was away longer has cut its
// connections itself.
const maxLookBackMilliseconds = 3_600_000;

// A redemption is answered within seconds; a connection that its gateway does not know by then was never joined.
const unknownMilliseconds = 60_000;

type Verdict = LeaseAnswer['verdicts'][number];

/** A signal about connections that are open. */
type Order = Exclude<Signal, { readonly order: 'probe' }>;

type Known = {
  readonly live: ReadonlyMap<string, Live>;
  readonly orders: ReadonlyMap<string, readonly Order[]>;
  readonly locks: readonly Lock[];
};

/**
 * Renews the leases of all connections of one gateway process and tells what has changed since its cursor. The number
 * of table calls does not grow with the number of sessions, those aside whose bytes are limited.
 */
export async function renewLeases(
  broker: Broker,
  caller: Caller,
  request: LeaseRequest,
): Promise<LeaseAnswer> {
  const pool = requireGateway(broker, caller);
  const { instance } = request;
  await requireOwnProcess(broker, pool, instance);
  const now = broker.now();
  const [rows, signals, locks] = await Promise.all([
    broker.state.list(toLivePartition(instance)),
    readSignals(broker, toSince(request.cursor, now)),
    readLocks(broker),
    broker.state.put([toGatewayRow({ instance, pool: pool.id, renewedAt: now.getTime() })]),
  ]);
  const live = readLive(broker, rows);
  await Promise.all([
    storeBytes(broker, request, live),
    closeUnknown(broker, pool, request, [...live.values()]),
  ]);
  const orders = signals.filter((signal) => signal.order !== 'probe');
  const known = { live, orders: Map.groupBy(orders, ({ session }) => session), locks };
  const verdicts = request.connections.flatMap(({ connection, session }) =>
    toVerdict(connection, session, known),
  );
  return {
    cursor: String(now.getTime()),
    now: now.toISOString(),
    verdicts,
    bytesElsewhere: await findBytesElsewhere(broker, instance, live),
    probes: toProbes(signals, now),
  };
}

function toProbes(signals: readonly Signal[], now: Date): string[] {
  return signals.flatMap((signal) =>
    signal.order === 'probe' && now < new Date(signal.expiresAt) ? [signal.token] : [],
  );
}

/** Returns, of every session here whose bytes are limited, what the connections of other processes have carried. */
async function findBytesElsewhere(
  broker: Broker,
  instance: string,
  live: ReadonlyMap<string, Live>,
): Promise<LeaseAnswer['bytesElsewhere']> {
  const limited = [...live.values()].filter(({ maxBytes }) => maxBytes !== undefined);
  const sessions = new Set(limited.map(({ session }) => session));
  return Promise.all(
    [...sessions].map(async (session) => {
      const { elsewhere } = await findSessionBytes(broker, session, instance);
      return { session, bytes: elsewhere };
    }),
  );
}

function toSince(cursor: string | undefined, now: Date): Date {
  const last = /^\d{13}$/.test(cursor ?? '') ? Number(cursor) : 0;
  const earliest = now.getTime() - maxLookBackMilliseconds;
  return new Date(Math.max(Math.min(last, now.getTime()) - overlapMilliseconds, earliest));
}

function toVerdict(connection: string, session: string, known: Known): readonly Verdict[] {
  const verdict = 'close' as const;
  const live = known.live.get(connection);
  if (live?.session !== session) return [{ connection, verdict, reason: 'lease-lost' }];
  if (findLock(known.locks, live.lockable) !== undefined)
    return [{ connection, verdict, reason: 'locked' }];
  const own = known.orders.get(session) ?? [];
  const close = own.find(({ order }) => order === 'close');
  if (close !== undefined) return [toVerdictOf(connection, close)];
  const last = own.at(-1);
  return last === undefined ? [] : [toVerdictOf(connection, last)];
}

function toVerdictOf(connection: string, order: Order): Verdict {
  return order.order === 'close'
    ? { connection, verdict: 'close', reason: order.reason }
    : { connection, verdict: 'deadline', deadline: order.deadline };
}

// A row that cannot be read, for example of a later version, costs its own connection and no other.
function readLive(broker: Broker, rows: readonly StoredRow[]): ReadonlyMap<string, Live> {
  const live = rows.flatMap((row) => {
    try {
      return [[row.row, toLive(row)] as const];
    } catch (failure) {
      broker.log('connection.unreadable', { connection: row.row, failure });
      return [];
    }
  });
  return new Map(live);
}

async function storeBytes(
  broker: Broker,
  { instance, connections }: LeaseRequest,
  live: ReadonlyMap<string, Live>,
): Promise<void> {
  const rows = connections
    .filter(({ connection }) => live.has(connection))
    .map(({ connection, bytesUp, bytesDown }) =>
      toBytesRow(instance, connection, { bytesUp, bytesDown }),
    );
  // Named twice, a connection has what it was named with last.
  await broker.state.put([...new Map(rows.map((row) => [row.row, row] as const)).values()]);
}

// A redemption whose answer was lost leaves a connection that no gateway knows.
async function closeUnknown(
  broker: Broker,
  pool: GatewayPool,
  { instance, connections }: LeaseRequest,
  live: readonly Live[],
): Promise<void> {
  const named = new Set(connections.map(({ connection }) => connection));
  const before = broker.now().getTime() - unknownMilliseconds;
  const lost = live.filter(
    ({ connection, openedAt }) => !named.has(connection) && new Date(openedAt).getTime() < before,
  );
  for (const connection of lost) {
    const durationMilliseconds = broker.now().getTime() - new Date(connection.openedAt).getTime();
    const bytes = await findBytes(broker, instance, connection.connection);
    const ending = { reason: 'gateway-failed', ...bytes, durationMilliseconds } as const;
    // Leases go on without the audit log, and the next one tries again.
    await recordClose(broker, { instance, pool: pool.id }, connection, ending).catch(
      (failure: unknown) => broker.log('connection.left-open', { connection, failure }),
    );
  }
}
