import type { Broker } from './broker.ts';
import type { Decision } from './decision.ts';
import { endSession } from './end-session.ts';
import { readOpenSessions } from './open-sessions.ts';
import type { Session } from './session.ts';

// Time windows close and policies change; what is no longer permitted should not last longer than this.
const everyMilliseconds = 300_000;

const place = { partition: 'reevaluated', row: 'last' } as const;

/**
 * Decides again about every open session, when five minutes have passed or the policy set is another one, and ends what
 * is no longer permitted. Of several processes one does it. Returns how many sessions it ended.
 */
export async function reevaluate(broker: Broker): Promise<number> {
  if (!(await claim(broker))) return 0;
  let ended = 0;
  for await (const session of readOpenSessions(broker)) {
    const now = Math.floor(broker.now().getTime() / 1000);
    const { input } = session;
    const decided = { ...input, context: { ...input.context, now } };
    const decision = broker.policy.decide(decided);
    if (decision.outcome === 'allow') continue;
    await endDenied(broker, { ...session, input: decided }, decision);
    ended += 1;
  }
  return ended;
}

async function claim(broker: Broker): Promise<boolean> {
  const at = broker.now().getTime();
  const { digest } = broker.policy;
  const last = await broker.state.find(place.partition, place.row);
  // An own value tells this process's row from one that another wrote in the same millisecond.
  const row = { ...place, values: { at, digest, by: broker.newId() } };
  if (last === undefined) return (await broker.state.insert(row)) === 'inserted';
  const isFresh = at < Number(last.values['at']) + everyMilliseconds;
  if (isFresh && last.values['digest'] === digest) return false;
  return (await broker.state.replace({ ...row, etag: last.etag })) === 'replaced';
}

async function endDenied(
  broker: Broker,
  session: Session,
  { policies, digest, advice }: Extract<Decision, { readonly outcome: 'deny' }>,
): Promise<void> {
  const { id, input } = session;
  const denied = { session: id, policies, digest, input, advice };
  const events = [{ type: 'session.denied', ...denied } as const];
  await endSession(broker, session, { endReason: 'policy', events });
}
