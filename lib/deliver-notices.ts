import type { Broker } from './broker.ts';
import { collectNotices } from './collect-notices.ts';
import type { Post } from './post-notice.ts';
import type { Sent } from './send-notices.ts';
import { maxAgeMilliseconds, sendNotices } from './send-notices.ts';
import type { StoredRow } from './table.ts';
import type { Webhook } from './webhook.ts';

/** Who is told what happens, and how. */
export type Notices = { readonly webhooks: readonly Webhook[]; readonly post: Post };

/** What one run did: how many notices it made, and what became of those that it looked at. */
export type Delivered = Sent & { readonly collected: number };

/** What the processes agree on: whose turn it is, from when on there are notices, and who wants to hear nothing. */
type Run = {
  readonly id: string;
  readonly since: number;
  readonly paused: ReadonlyMap<string, number>;
};

const partition = 'notices';
const turnRow = 'turn';

const collectMilliseconds = 10_000;
const runMilliseconds = 20_000;

// As long as a run that ends with the slowest receiver and slow tables. After a crash, that long nothing is sent.
const turnMilliseconds = 60_000;

/**
 * Makes notices of what was recorded since the last run, and sends those that are due: each at least once, and more often
 * only when a process dies or an answer is lost. Of several processes one does it at a time. Costs no call when nobody is
 * to be told.
 */
export async function deliverNotices(broker: Broker): Promise<Delivered> {
  const { notices } = broker;
  const nothing = { collected: 0, sent: 0, failed: 0, givenUp: 0 };
  if (notices === undefined) return nothing;
  const run = await takeTurn(broker);
  if (run === undefined) return nothing;
  try {
    const collected = await collect(broker, notices, run);
    const until = new Date(broker.now().getTime() + runMilliseconds);
    const sent = await Promise.all(
      notices.webhooks.map(async (webhook) => send(broker, { ...notices, run, until }, webhook)),
    );
    return sent.reduce<Delivered>(add, { ...nothing, collected });
  } finally {
    await endTurn(broker, run);
  }
}

// What cannot be collected now is collected at the next run, and must not keep what waits from being sent.
async function collect(broker: Broker, { webhooks }: Notices, { since }: Run): Promise<number> {
  const now = broker.now().getTime();
  const from = new Date(Math.max(since, now - maxAgeMilliseconds));
  const until = new Date(now + collectMilliseconds);
  try {
    return await collectNotices(broker, webhooks, { since: from, until });
  } catch (failure) {
    broker.log('notices.not-collected', { failure });
    return 0;
  }
}

async function send(
  broker: Broker,
  { post, run, until }: Pick<Notices, 'post'> & { readonly run: Run; readonly until: Date },
  webhook: Webhook,
): Promise<Sent> {
  const { name } = webhook;
  const pausedUntil = new Date(run.paused.get(toPauseRow(name)) ?? 0);
  const pause = async (time: Date): Promise<void> => {
    broker.log('webhook.paused', { webhook: name, until: time.toISOString() });
    const values = { until: time.getTime() };
    await broker.state.put([{ partition, row: toPauseRow(name), values }]);
  };
  try {
    return await sendNotices(broker, { webhook, post, pausedUntil, pause, until });
  } catch (failure) {
    broker.log('notices.not-sent', { webhook: name, failure });
    return { sent: 0, failed: 0, givenUp: 0 };
  }
}

async function takeTurn({ state, now, newId }: Broker): Promise<Run | undefined> {
  const rows = await state.list(partition);
  const last = rows.find(({ row }) => row === turnRow);
  const at = now().getTime();
  if (last !== undefined && at < Number(last.values['until'])) return undefined;
  // Nobody wants to be told on the first day what had happened before.
  const since = Number(last?.values['since'] ?? at);
  const id = newId();
  const row = { partition, row: turnRow, values: { id, since, until: at + turnMilliseconds } };
  const isMine =
    last === undefined
      ? (await state.insert(row)) === 'inserted'
      : (await state.replace({ ...row, etag: last.etag })) === 'replaced';
  return isMine ? { id, since, paused: toPaused(rows) } : undefined;
}

// A turn that is not ended ends by itself, a little later.
async function endTurn({ state, log }: Broker, { id, since }: Run): Promise<void> {
  try {
    const row = await state.find(partition, turnRow);
    if (row?.values['id'] === id) await state.replace({ ...row, values: { id, since, until: 0 } });
  } catch (failure) {
    log('notices.turn-left', { failure });
  }
}

function toPaused(rows: readonly StoredRow[]): ReadonlyMap<string, number> {
  return new Map(rows.map(({ row, values }) => [row, Number(values['until'])]));
}

function toPauseRow(webhook: string): string {
  return `pause|${webhook}`;
}

function add(one: Delivered, other: Sent): Delivered {
  return {
    collected: one.collected,
    sent: one.sent + other.sent,
    failed: one.failed + other.failed,
    givenUp: one.givenUp + other.givenUp,
  };
}
