import { setTimeout as delay } from 'node:timers/promises';
import type { Actor, Audit } from './audit.ts';
import type { Log } from './broker.ts';
import { createBudgetMemory } from './budget-memory.ts';
import type { Draw } from './budget-bucket.ts';
import { bucketShape, drawTokens } from './budget-bucket.ts';
import { BrokerError } from './failure.ts';
import { toKey } from './table-key.ts';
import type { StoredRow, Table } from './table.ts';

/** One request that is to be paid for: out of whose budget, how large that is, and who asks. */
export type Spending = {
  readonly kind: 'caller' | 'target';
  /** The id of the caller or of the target. */
  readonly id: string;
  readonly perMinute: number;
  readonly caller: Actor;
};

/**
 * The request budgets of callers and targets: token buckets in the state table, right whichever processes share it.
 * Fails closed: `state-unavailable` when the table is away, `audit-unavailable` when an excess cannot be recorded.
 */
export type Budget = {
  /**
   * Takes a token, or fails with `rate-limited` and the time until there is one. One read and one write; requests that
   * meet in a process share them. The first refusal in a minute waits for its record, and fails with it.
   */
  readonly take: (spending: Spending) => Promise<void>;
  /** Returns the refusal that this process knows of without a call; undefined when it has to ask the table. */
  readonly findRefusal: (spending: Spending) => BrokerError | undefined;
};

export type BudgetParts = {
  readonly table: Table;
  readonly audit: Audit;
  readonly newId: () => string;
  readonly now: () => Date;
  readonly log: Log;
};

type Ask = {
  readonly spending: Spending;
  readonly resolve: () => void;
  readonly reject: (failure: unknown) => void;
};

// Of processes that write at once one always wins, so this many would have to outrun us with a request each. Then the
// request is refused for a second, not let through: whether a token is left is not known.
const maxAttempts = 8;

const stepMilliseconds = 5;

// A bucket is one row of some hundred bytes for each caller and each target that was ever used: their number is bounded
// by people and VMs, not by requests, so that no timer cleans up. Whoever removes an old row removes a full bucket.
const bucketRow = 'bucket';

/** Opens the budgets of a process. What it remembers (waiting requests, refusals) is lost with it at no harm. */
export function createBudget(parts: BudgetParts): Budget {
  const memory = createBudgetMemory(parts.now);
  const waiting = new Map<string, Ask[]>();
  const findRefusal = (spending: Spending): BrokerError | undefined => {
    const until = memory.find(toPartition(spending));
    return until === undefined ? undefined : toRefusal(spending, until, parts.now());
  };

  // One batch of a bucket at a time, so that only processes contend for its row, not requests.
  async function serve(partition: string): Promise<void> {
    for (;;) {
      const [first, ...others] = waiting.get(partition) ?? [];
      if (first === undefined) break;
      waiting.set(partition, []);
      await settle([first, ...others]);
    }
    waiting.delete(partition);
  }

  async function settle(asks: readonly [Ask, ...Ask[]]): Promise<void> {
    const [{ spending }] = asks;
    try {
      const known = findRefusal(spending);
      if (known !== undefined) throw known;
      const draw = await takeTokens(parts, spending, asks.length);
      for (const { resolve } of asks.slice(0, draw.admitted)) resolve();
      const refused = asks[draw.admitted];
      if (refused === undefined) return;
      if (draw.isFirstRefusal) await parts.audit.append([toEvent(refused.spending)]);
      const { kind, id } = spending;
      if (memory.remember(toPartition(spending), draw.nextAt))
        parts.log('rate-limited', { budget: kind, id });
      throw toRefusal(spending, draw.nextAt, parts.now());
    } catch (failure) {
      // Those that were admitted are settled already, and do not notice.
      for (const { reject } of asks) reject(failure);
    }
  }

  return {
    findRefusal,
    take: async (spending) =>
      new Promise((resolve, reject) => {
        const partition = toPartition(spending);
        const ask = { spending, resolve, reject };
        const queue = waiting.get(partition);
        queue?.push(ask);
        if (queue !== undefined) return;
        waiting.set(partition, [ask]);
        void serve(partition);
      }),
  };
}

async function takeTokens(
  { table, newId, now, log }: BudgetParts,
  spending: Spending,
  count: number,
): Promise<Draw> {
  const partition = toPartition(spending);
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    if (0 < attempt) await delay(attempt * stepMilliseconds);
    const stored = await table.find(partition, bucketRow);
    const bucket = stored === undefined ? undefined : bucketShape.parse(stored.values);
    const draw = drawTokens(bucket, count, spending.perMinute, now());
    if (draw.admitted === 0 && !draw.isFirstRefusal) return draw;
    // A table takes equal values for a resend of ours, and two processes may well draw alike.
    const values = { ...draw.bucket, nonce: newId() };
    if (await write(table, stored, { partition, row: bucketRow, values })) return draw;
  }
  log('budget.contended', { budget: spending.kind, id: spending.id });
  throw new BrokerError('rate-limited', 'Too many requests at one moment. Ask again.', {
    retryAfterSeconds: 1,
  });
}

async function write(
  table: Table,
  stored: StoredRow | undefined,
  row: Omit<StoredRow, 'etag'>,
): Promise<boolean> {
  return stored === undefined
    ? (await table.insert(row)) === 'inserted'
    : (await table.replace({ ...row, etag: stored.etag })) === 'replaced';
}

function toPartition({ kind, id }: Spending): string {
  return `budget|${kind}|${toKey(id)}`;
}

function toEvent({ kind, id, caller }: Spending) {
  const target = kind === 'target' ? { target: id } : {};
  return { type: 'budget.exceeded', budget: kind, caller, ...target } as const;
}

function toRefusal({ kind, perMinute }: Spending, nextAt: number, now: Date): BrokerError {
  const seconds = Math.max(1, Math.ceil((nextAt - now.getTime()) / 1000));
  const number = String(perMinute);
  const message =
    kind === 'caller'
      ? `You may ask for sessions, tickets, extensions and policy decisions ${number} times a minute. Wait, then ask again.`
      : `This target may be asked for ${number} times a minute by all callers. Wait, then ask again.`;
  return new BrokerError('rate-limited', message, { retryAfterSeconds: seconds });
}
