import type { Broker } from './broker.ts';
import type { DecisionInput } from './decision.ts';
import { findDialableHost, isDown } from './dialable-host.ts';
import { orderProbe, readProbe } from './order-probe.ts';
import type { Session } from './session.ts';
import { checkStart, startTarget } from './start-target.ts';
import type { Target } from './target.ts';
import type { Refusing } from './unmet.ts';

/** Where a target stands on its way to be connected to. */
export type Prepared =
  | { readonly outcome: 'ready'; readonly host: string }
  /** Something is under way; what is to be remembered of it. */
  | { readonly outcome: 'waiting'; readonly preparation: Preparation }
  /** Policy does not let the caller have it started. */
  | { readonly outcome: 'refused'; readonly input: DecisionInput; readonly decision: Refusing }
  /** It is stopped, and nobody asked to have it started. */
  | { readonly outcome: 'stopped' };

export type Preparation = NonNullable<Session['preparation']>;

type Wanted = {
  readonly session: Session;
  readonly preparation: Preparation;
  readonly target: Target;
  /** What the session itself was decided on just now. */
  readonly input: DecisionInput;
};

/**
 * Takes the next step to bring a target up: has it started where request and policy both say so, waits until it runs,
 * and then until a gateway finds its port open. Waits for nothing itself. Fails with `start-…`, `rate-limited`,
 * `target-…` or `targets-…`.
 */
export async function prepareTarget(
  broker: Broker,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Prepared> {
  const { session, preparation, target } = wanted;
  const { mayStart, startedAt, operation } = preparation;
  if (isDown(target) && startedAt === undefined) return start(broker, wanted, signal);
  // What may be started may have been, by a step of which nothing was stored.
  if (!mayStart) return { outcome: 'ready', host: await findDialableHost(broker, target, signal) };
  if (isDown(target) || target.power === 'starting') {
    // ARM shows the old state for a while after it has accepted a start.
    if (operation !== undefined)
      await checkStart(broker, { session: session.id, target }, operation, signal);
    return { outcome: 'waiting', preparation };
  }
  return probe(broker, wanted, signal);
}

async function start(broker: Broker, wanted: Wanted, signal: AbortSignal): Promise<Prepared> {
  const { session, preparation, target } = wanted;
  if (!preparation.mayStart) return { outcome: 'stopped' };
  const refused = refuseStart(broker, wanted.input);
  if (refused !== undefined) return refused;
  const { id, caller } = session;
  const operation = await startTarget(broker, { session: id, caller, target }, signal);
  const startedAt = broker.now().toISOString();
  const started = { ...preparation, startedAt, ...(operation === undefined ? {} : { operation }) };
  return { outcome: 'waiting', preparation: started };
}

/** Returns the decision that keeps the caller from having the target started; undefined when they may. */
export function refuseStart(
  broker: Broker,
  input: DecisionInput,
): Extract<Prepared, { readonly outcome: 'refused' }> | undefined {
  const asked: DecisionInput = { ...input, action: 'start' };
  const decision = broker.policy.decide(asked);
  return decision.outcome === 'allow' ? undefined : { outcome: 'refused', input: asked, decision };
}

// A VM runs long before its services do: whoever was told "ready" by then would be refused.
async function probe(broker: Broker, wanted: Wanted, signal: AbortSignal): Promise<Prepared> {
  const { session, preparation, target } = wanted;
  const host = await findDialableHost(broker, target, signal);
  if ((await readProbe(broker, session.id)) === 'open') return { outcome: 'ready', host };
  await orderProbe(broker, { session: session.id, host, port: session.port });
  const probedAt = preparation.probedAt ?? broker.now().toISOString();
  return { outcome: 'waiting', preparation: { ...preparation, probedAt } };
}
