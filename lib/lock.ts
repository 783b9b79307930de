import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { StoredRow } from './table.ts';

/** What a lock can be put on. */
const lockKinds = ['caller', 'target', 'subscription', 'session', 'app', 'gateway'] as const;

const time = z.iso.datetime();
const actor = z.strictObject({ id: z.string(), name: z.string() });

/** `PUT /api/locks/{id}`: refuse what is new and cut what is live. */
export const lockRequestShape = z.strictObject({
  kind: z.enum(lockKinds),
  value: z
    .string()
    .min(1)
    .max(300)
    .describe('The id of what is locked: a caller id, target id, subscription id and so on.'),
  message: z
    .string()
    .trim()
    .min(1)
    .max(500)
    .regex(/^[^\p{Cc}\p{Cs}\u202A-\u202E\u2066-\u2069]*$/u, 'Use plain text.')
    .describe('What those who meet the lock are told.'),
  expiresAt: time.exactOptional(),
});

export type LockRequest = z.infer<typeof lockRequestShape>;

/** A stored order to refuse and to cut. */
export const lockShape = lockRequestShape.extend({
  id: z.uuid(),
  setBy: actor,
  setAt: time,
});

export type Lock = z.infer<typeof lockShape>;

export const lockListShape = z.strictObject({ value: z.array(lockShape) });

/** The facts of a session that locks are held against. */
export const lockableShape = z.object({
  caller: z.string(),
  target: z.string(),
  subscription: z.string(),
  session: z.string(),
  app: z.string(),
  gateway: z.string(),
  /** The person for whom the caller acts: a lock on either is a lock on both. */
  onBehalfOf: z.string().exactOptional(),
});

export type Lockable = Readonly<z.infer<typeof lockableShape>>;

/** Returns the facts of a session by its id and the input of its decision. */
export function toLockable(
  { gateway }: Pick<Broker, 'gateway'>,
  session: string,
  { caller, target, onBehalfOf }: Pick<DecisionInput, 'caller' | 'target' | 'onBehalfOf'>,
): Lockable {
  return {
    caller: caller.id,
    target: target.id,
    subscription: target.subscription,
    session,
    app: caller.app,
    gateway: gateway.id,
    ...(onBehalfOf === undefined ? {} : { onBehalfOf: onBehalfOf.id }),
  };
}

/** The partition that holds all locks. There are few, so that every check reads all of them. */
export const locksPartition = 'locks';

/** Returns the lock that a row holds. */
export function toLock(row: StoredRow): Lock {
  return lockShape.parse(JSON.parse(String(row.values['b'])));
}

/** Returns the locks that are in force now. */
export async function readLocks(broker: Broker): Promise<readonly Lock[]> {
  const rows = await broker.state.list(locksPartition);
  const now = broker.now();
  return rows
    .map(toLock)
    .filter(({ expiresAt }) => expiresAt === undefined || now < new Date(expiresAt));
}

/** Returns the first lock that meets the facts, ids compared without regard to case; undefined when none does. */
export function findLock(locks: readonly Lock[], facts: Lockable): Lock | undefined {
  return locks.find(({ kind, value }) => {
    const ids = kind === 'caller' ? [facts.caller, facts.onBehalfOf] : [facts[kind]];
    return ids.some((id) => id?.toLowerCase() === value.toLowerCase());
  });
}

/** Fails with `locked` and the lock's own message when a lock meets the facts. */
export function requireUnlocked(locks: readonly Lock[], facts: Lockable): void {
  const lock = findLock(locks, facts);
  if (lock !== undefined)
    throw new BrokerError('locked', `Locked: ${lock.message}`, { advice: [lock.message] });
}
