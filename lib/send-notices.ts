import type { Broker } from './broker.ts';
import { entryBatchType } from './entry-batch.ts';
import type { Waiting } from './outbox.ts';
import { listDue, postpone, removeNotice } from './outbox.ts';
import type { Post } from './post-notice.ts';
import { findRetryDelay, parseRetryAfter } from './retry-delay.ts';
import { signNotice } from './webhook-signature.ts';
import type { Webhook } from './webhook.ts';

/** How long after its event a notice is still sent. */
export const maxAgeMilliseconds = 24 * 3_600_000;

/** What became of the notices that a run looked at. */
export type Sent = { readonly sent: number; readonly failed: number; readonly givenUp: number };

/** One webhook, and how a run may use it. */
export type Sending = {
  readonly webhook: Webhook;
  readonly post: Post;
  /** When the receiver wants to hear nothing until then. */
  readonly pausedUntil: Date;
  /** Told when the receiver wants to hear nothing from now on until a time. */
  readonly pause: (until: Date) => Promise<void>;
  /** After this nothing new is begun. */
  readonly until: Date;
};

type Answer = Awaited<ReturnType<Post>> | { readonly failure: unknown };

const noticesPerRun = 200;
const lanes = 4;

// A receiver that is down costs a run ten seconds, and not ten for each notice that waits for it.
const failuresPerRun = 4;

// Who says that a receiver has gone may be a proxy in its place: it is asked again, though rarely.
const goneMilliseconds = 3_600_000;

/**
 * Sends what is due to one webhook, several at a time and in no promised order. What fails is put off, and given up a
 * day after its event. Returns what became of it.
 */
export async function sendNotices(broker: Broker, sending: Sending): Promise<Sent> {
  const { webhook, until, pausedUntil } = sending;
  const due = await listDue(broker.state, webhook.name, broker.now(), noticesPerRun);
  const tally = { sent: 0, failed: 0, givenUp: 0 };
  const queue: Waiting[] = [];
  for (const waiting of due) {
    if (broker.now() < toEnd(waiting)) queue.push(waiting);
    else tally[await giveUp(broker, webhook, waiting)] += 1;
  }
  const course = { failures: 0, isPaused: broker.now() < pausedUntil };
  const pause = async (time: Date): Promise<void> => {
    course.isPaused = true;
    await sending.pause(time);
  };
  const runLane = async (): Promise<void> => {
    while (!course.isPaused && course.failures < failuresPerRun && broker.now() < until) {
      const next = queue.shift();
      if (next === undefined) return;
      const outcome = await sendNotice(broker, { ...sending, pause }, next);
      tally[outcome] += 1;
      if (outcome !== 'sent') course.failures += 1;
    }
  };
  // All of them have ended before the run does, so that no other process meets them.
  const ended = await Promise.allSettled(Array.from({ length: lanes }, runLane));
  const broken = ended.find((lane) => lane.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  return tally;
}

async function sendNotice(broker: Broker, sending: Sending, waiting: Waiting): Promise<keyof Sent> {
  const { webhook, pause } = sending;
  const answer = await tryPost(broker, sending, waiting);
  const now = broker.now();
  if ('status' in answer && 200 <= answer.status && answer.status <= 299) {
    await removeNotice(broker.state, webhook.name, waiting);
    return 'sent';
  }
  const failed = { ...waiting, attempts: waiting.attempts + 1 };
  broker.log('notice.failed', { ...toFacts(webhook, failed), ...toCause(answer) });
  if ('status' in answer && answer.status === 410) {
    await pause(new Date(now.getTime() + goneMilliseconds));
    return giveUp(broker, webhook, failed);
  }
  const asked = 'status' in answer ? parseRetryAfter(answer.retryAfter, now) : undefined;
  if (asked !== undefined) await pause(new Date(now.getTime() + asked));
  const delay = Math.max(findRetryDelay(failed.id, failed.attempts), asked ?? 0);
  const due = new Date(now.getTime() + delay);
  if (toEnd(waiting) <= due) return giveUp(broker, webhook, failed);
  await postpone(broker.state, webhook.name, failed, due);
  return 'failed';
}

async function tryPost(
  { now }: Broker,
  { webhook: { url, secrets }, post }: Sending,
  waiting: Waiting,
): Promise<Answer> {
  const isBatch = waiting.type === entryBatchType;
  const headers = {
    ...signNotice(secrets, waiting, now()),
    'content-type': `application/cloudevents${isBatch ? '-batch' : ''}+json; charset=utf-8`,
  };
  try {
    return await post({ url, headers, body: waiting.body });
  } catch (failure) {
    return { failure };
  }
}

async function giveUp(broker: Broker, webhook: Webhook, waiting: Waiting): Promise<'givenUp'> {
  await removeNotice(broker.state, webhook.name, waiting);
  broker.log('notice.given-up', toFacts(webhook, waiting));
  return 'givenUp';
}

function toFacts(webhook: Webhook, { id, type, attempts }: Waiting) {
  return { webhook: webhook.name, notice: id, type, attempts };
}

function toCause(answer: Answer): Readonly<Record<string, unknown>> {
  return 'status' in answer ? { status: answer.status } : { failure: answer.failure };
}

function toEnd({ time }: Waiting): Date {
  return new Date(new Date(time).getTime() + maxAgeMilliseconds);
}
