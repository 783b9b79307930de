import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { ProbeReport } from './gateway-call.ts';
import { requireOwnProcess } from './live-connection.ts';
import type { ProbeOutcome } from './probe.ts';
import { probeOutcomes, probeSeconds, signProbe } from './probe.ts';
import { requireGateway } from './require-gateway.ts';
import { sendSignal } from './signal.ts';
import type { StoredRow } from './table.ts';

/** The last probe that was ordered for a session, in the session's partition. */
const orderedShape = z.object({
  probe: z.uuid(),
  expiresAt: z.iso.datetime(),
  outcome: z.enum(probeOutcomes).exactOptional(),
});

type Ordered = z.infer<typeof orderedShape>;

const probeRow = 'probe';

// Each try means that another gateway reported in between, so a handful is plenty.
const maxTries = 10;

/** What is to be tried, for which session. The host is one that the gateways may dial. */
export type Wanted = { readonly session: string; readonly host: string; readonly port: number };

/**
 * Orders every gateway process to try the port at its next lease. Nothing is ordered while an order is under way, so that
 * this can be called as often as somebody asks; the outcome of the one before is forgotten.
 */
export async function orderProbe(broker: Broker, wanted: Wanted): Promise<void> {
  const { session, host, port } = wanted;
  const issuedAt = broker.now();
  const stored = await broker.state.find(session, probeRow);
  if (stored !== undefined && isUnderWay(toOrdered(stored), issuedAt)) return;
  const { id: gateway } = broker.gateway;
  const id = broker.newId();
  const expiresAt = new Date(issuedAt.getTime() + probeSeconds * 1000);
  const probe = { id, session, gateway, host, port, issuedAt, expiresAt };
  const token = signProbe(probe, broker.url.origin, await broker.keys.current());
  const until = expiresAt.toISOString();
  if (!(await storeOrdered(broker, session, { probe: id, expiresAt: until }, stored))) return;
  await broker.audit.append([{ type: 'probe.ordered', session, probe: id, gateway, host, port }]);
  await sendSignal(broker, { order: 'probe', session, token, expiresAt: until });
}

/** Returns what the last probe of a session found; undefined when none was ordered, or none has reported yet. */
export async function readProbe(
  broker: Pick<Broker, 'state'>,
  session: string,
): Promise<ProbeOutcome | undefined> {
  const stored = await broker.state.find(session, probeRow);
  return stored === undefined ? undefined : toOrdered(stored).outcome;
}

/**
 * Notes what a gateway found. A report of a probe that is not the last one ordered for its session counts for nothing,
 * and one that says that the port is open counts for more than all others.
 */
export async function noteProbe(
  broker: Broker,
  caller: Caller,
  { instance, session, probe, outcome }: ProbeReport,
): Promise<void> {
  const pool = requireGateway(broker, caller);
  await requireOwnProcess(broker, pool, instance);
  for (let tries = 0; tries < maxTries; tries += 1) {
    const stored = await broker.state.find(session, probeRow);
    const ordered = stored && toOrdered(stored);
    if (ordered?.probe !== probe || ordered.outcome === 'open') return;
    if (await storeOrdered(broker, session, { ...ordered, outcome }, stored)) return;
  }
  throw new Error('the probe of a session changed too often');
}

function isUnderWay({ outcome, expiresAt }: Ordered, now: Date): boolean {
  return outcome === undefined && now < new Date(expiresAt);
}

function toOrdered(row: StoredRow): Ordered {
  return orderedShape.parse(JSON.parse(String(row.values['b'])));
}

/** Stores the order in the place of the one that was read. Returns false when another was there first. */
async function storeOrdered(
  broker: Broker,
  session: string,
  ordered: Ordered,
  before: StoredRow | undefined,
): Promise<boolean> {
  const row = { partition: session, row: probeRow, values: { b: JSON.stringify(ordered) } };
  return before === undefined
    ? (await broker.state.insert(row)) === 'inserted'
    : (await broker.state.replace({ ...row, etag: before.etag })) === 'replaced';
}
