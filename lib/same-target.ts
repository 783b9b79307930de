import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';
import type { Session } from './session.ts';
import type { Target } from './target.ts';

/**
 * Returns the target of a session as it is now; undefined when it is gone. A VM that was made anew under the old name has
 * the old ARM id and another `vmId`, and is not it.
 */
export async function findSameTarget(
  broker: Broker,
  { target: { id }, armId }: Session,
  signal: AbortSignal,
): Promise<Target | undefined> {
  const reference =
    armId === undefined ? ({ kind: 'id', id } as const) : ({ kind: 'arm', armId } as const);
  const target = await broker.targets.find(reference, signal);
  return target?.id === id ? target : undefined;
}

/** Returns the failure of a session whose target has become another one. */
export function toChanged(): BrokerError {
  return new BrokerError(
    'target-changed',
    'The target is not what it was when the session was granted. Ask for a new session.',
  );
}
