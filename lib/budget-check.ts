import type { Broker } from './broker.ts';
import type { Spending } from './budget.ts';
import type { Caller } from './caller.ts';

/**
 * Takes a token of the caller while the state is read, and returns what was read; fails with `rate-limited` when there
 * is none. Stands before the first call to a source of targets, which costs more than a token.
 */
export async function withinCallerBudget<T>(
  broker: Broker,
  caller: Caller,
  read: () => Promise<T>,
): Promise<T> {
  return spendWhile(broker, toCallerSpending(broker, caller), read);
}

/**
 * Likewise for a target that the caller is known to be allowed: who has no right to a target must neither use its budget
 * up nor learn from a refusal that it exists (threat 13).
 */
export async function withinTargetBudget<T>(
  broker: Broker,
  caller: Caller,
  target: string,
  read: () => Promise<T>,
): Promise<T> {
  const perMinute = broker.limits.requestsPerTargetMinute;
  const spending = { kind: 'target', id: target, perMinute, caller: toActor(caller) } as const;
  return spendWhile(broker, spending, read);
}

/**
 * Fails with `rate-limited` where this process knows that the caller has no token. Makes no call and takes none, so that
 * a flood is refused before its bodies are read.
 */
export function refuseKnownExcess(broker: Broker, caller: Caller): void {
  const refusal = broker.budget.findRefusal(toCallerSpending(broker, caller));
  if (refusal !== undefined) throw refusal;
}

async function spendWhile<T>(
  { budget }: Broker,
  spending: Spending,
  read: () => Promise<T>,
): Promise<T> {
  const refusal = budget.findRefusal(spending);
  if (refusal !== undefined) throw refusal;
  // Both to their end, so that one who is over the budget always hears that, and nothing about what was read.
  const [taken, found] = await Promise.allSettled([budget.take(spending), read()]);
  if (taken.status === 'rejected') throw taken.reason;
  if (found.status === 'rejected') throw found.reason;
  return found.value;
}

function toCallerSpending({ limits }: Broker, caller: Caller): Spending {
  const perMinute = limits.requestsPerCallerMinute;
  return { kind: 'caller', id: caller.id, perMinute, caller: toActor(caller) };
}

function toActor({ id, name }: Caller): Spending['caller'] {
  return { id, name };
}
