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
import { requireGateway } from './redeem-ticket.ts';
import type { Signal } from './signal.ts';
import { readSignals } from './signal.ts';

// Signals carry the time of the broker that sent them. Reading this far back covers clocks that differ, a write that
// took long, and a redemption that was under way when the signal was sent.
const overlapMilliseconds = 60_000;

// A gateway that names no cursor has just started, and one that was away longer has cut its connections itself.
const maxLookBackMilliseconds = 3_600_000;

// A redemption is answered within seconds; a connection that its gateway does not know by then was never joined.
const unknownMilliseconds = 60_000;

type Verdict = LeaseAnswer['verdicts'][number];

/**
 * Renews the leases of all connections of one gateway process and tells what has changed since its cursor. The number
 * of table calls does not grow with the number of sessions.
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
  const [rows, signals] = await Promise.all([
    broker.state.list(toLivePartition(instance)),
    readSignals(broker, toSince(request.cursor, now)),
    broker.state.put([toGatewayRow({ instance, pool: pool.id, renewedAt: now.getTime() })]),
  ]);
  const live = new Map(rows.map((row) => [row.row, toLive(row)] as const));
  await Promise.all([
    storeBytes(broker, request, live),
    closeUnknown(broker, pool, request, [...live.values()]),
  ]);
  const verdicts = request.connections.flatMap(({ connection, session }) =>
    toVerdict(connection, session, { live, signals }),
  );
  return { cursor: String(now.getTime()), now: now.toISOString(), verdicts };
}

function toSince(cursor: string | undefined, now: Date): Date {
  const last = /^\d{13}$/.test(cursor ?? '') ? Number(cursor) : now.getTime();
  const earliest = now.getTime() - maxLookBackMilliseconds;
  return new Date(Math.max(Math.min(last, now.getTime()) - overlapMilliseconds, earliest));
}

function toVerdict(
  connection: string,
  session: string,
  known: { readonly live: ReadonlyMap<string, Live>; readonly signals: readonly Signal[] },
): readonly Verdict[] {
  const verdict = 'close' as const;
  if (known.live.get(connection)?.session !== session)
    return [{ connection, verdict, reason: 'lease-lost' }];
  const signal = known.signals.find((sent) => sent.session === session);
  return signal === undefined ? [] : [{ connection, verdict, reason: signal.reason }];
}

async function storeBytes(
  broker: Broker,
  { instance, connections }: LeaseRequest,
  live: ReadonlyMap<string, Live>,
): Promise<void> {
  const known = connections.filter(({ connection }) => live.has(connection));
  await broker.state.put(
    known.map(({ connection, bytesUp, bytesDown }) =>
      toBytesRow(instance, connection, { bytesUp, bytesDown }),
    ),
  );
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
    await recordClose(broker, { instance, pool: pool.id }, connection, ending);
  }
}
