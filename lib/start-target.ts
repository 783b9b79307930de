import type { Actor } from './audit.ts';
import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';
import { takeStart } from './start-budget.ts';
import { forgetStart, noteStart } from './started-target.ts';
import type { Target } from './target.ts';

/** Which target is to be started, for which session, and whose that is. */
export type TargetStart = {
  readonly session: string;
  readonly caller: Actor;
  readonly target: Target;
};

/**
 * Asks for a target to be started that policy allows to be started, within the budgets and on the record, and returns the
 * operation that `checkStart` of the broker's power takes, where there is one. May be repeated for a session, which pays
 * once a day. Fails with `rate-limited`, `start-…`, `target-changed` or `targets-…`; with `start-failed` only for now
 * when the failure says after how many seconds to ask again.
 */
export async function startTarget(
  broker: Broker,
  { session, caller, target }: TargetStart,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { power, audit } = broker;
  const { id, armId } = target;
  if (power === undefined || armId === undefined)
    throw new BrokerError(
      'start-failed',
      'The broker has no means to start this target. Start it yourself, then ask again.',
    );
  await takeStart(broker, { caller, target: id, session });
  if (!(await noteStart(broker, target, session)))
    throw new BrokerError('start-failed', 'The target is being deallocated. Try again.', {
      retryAfterSeconds: 5,
    });
  await audit.append([{ type: 'target.started', session, caller, target: id, armId }]);
  return unlessFailed(broker, { session, target }, async () => power.start(target, signal));
}

/**
 * Fails with `start-failed` when a start that was accepted has come to nothing since; resolves when it goes on, has done
 * its work, or nothing is known of it.
 */
export async function checkStart(
  broker: Broker,
  start: Pick<TargetStart, 'session' | 'target'>,
  operation: string,
  signal: AbortSignal,
): Promise<void> {
  await unlessFailed(broker, start, async () =>
    broker.power?.checkStart(start.target, operation, signal),
  );
}

async function unlessFailed<T>(
  broker: Broker,
  { session, target }: Pick<TargetStart, 'session' | 'target'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (isFinal(failure)) await forgetStart(broker, target, session);
    throw failure;
  }
}

function isFinal(failure: unknown): boolean {
  if (!(failure instanceof BrokerError)) return false;
  const { code, details } = failure;
  return (
    code === 'start-forbidden' ||
    (code === 'start-failed' && details.retryAfterSeconds === undefined)
  );
}
