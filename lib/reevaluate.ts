import type { Broker } from './broker.ts';
import { endSession } from './end-session.ts';
import { readLiveSessions } from './live-sessions.ts';
import { isOpen } from './session.ts';
import { toRefusingEvent } from './unmet.ts';
import { isRevoked } from './use-delegation.ts';

// Time windows close and policies change; what is no longer permitted should not last longer than this.
const everyMilliseconds = 300_000;

// A process that has not heard of a new set yet may still grant by the old one: what it grants is decided on again.
const settlingMilliseconds = 60_000;

const place = { partition: 'reevaluated', row: 'last' } as const;

/**
 * Decides again about every open session, when five minutes have passed, when the policy set is another one, and once
 * more a minute after that; ends what is no longer permitted. Of several processes one does it. Returns how many sessions it ended.
 */
export async function reevaluate(broker: Broker): Promise<number> {
  if (!(await claim(broker))) return 0;
  let ended = 0;
  for await (const session of readLiveSessions(broker)) {
    // What waits is decided on when it becomes ready.
    if (!isOpen(session, broker.now())) continue;
    // One that came into being while its delegation was revoked stands in no list of what is to end.
    if (await isRevoked(broker, session)) {
      await endSession(broker, session, { endReason: 'delegation-revoked' });
      ended += 1;
      continue;
    }
    const now = Math.floor(broker.now().getTime() / 1000);
    const { input } = session;
    const decided = { ...input, context: { ...input.context, now } };
    const decision = broker.policy.decide(decided);
    if (decision.outcome === 'allow') continue;
    const event = toRefusingEvent({ session: session.id, input: decided }, decision);
    await endSession(broker, session, { endReason: 'policy', events: [event] });
    ended += 1;
  }
  return ended;
}

async function claim(broker: Broker): Promise<boolean> {
  const at = broker.now().getTime();
  const { digest } = broker.policy;
  const last = await broker.state.find(place.partition, place.row);
  const isSame = last?.values['digest'] === digest;
  const seenAt = isSame ? Number(last.values['seenAt'] ?? 0) : at;
  // An own value tells this process's row from one that another wrote in the same millisecond.
  const row = { ...place, values: { at, digest, seenAt, by: broker.newId() } };
  if (last === undefined) return (await broker.state.insert(row)) === 'inserted';
  const lastAt = Number(last.values['at']);
  const settledAt = seenAt + settlingMilliseconds;
  const isSettled = at < settledAt || settledAt <= lastAt;
  if (isSame && isSettled && at < lastAt + everyMilliseconds) return false;
  return (await broker.state.replace({ ...row, etag: last.etag })) === 'replaced';
}
