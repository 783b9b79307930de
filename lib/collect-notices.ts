import type { Addition, Entry } from './audit-tail.ts';
import { followAudit } from './audit-tail.ts';
import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';
import { toEntryBatches } from './entry-batch.ts';
import type { Draft, Notice } from './notice.ts';
import { everyEntry, toNotice } from './notice.ts';
import { contextEntries, toDraft } from './notice-draft.ts';
import { storeNotices } from './outbox.ts';
import type { Session } from './session.ts';
import { findSession } from './session.ts';
import type { Webhook } from './webhook.ts';

/** From when on entries are told of, and until when this run may begin something new. */
export type Collecting = { readonly since: Date; readonly until: Date };

/**
 * Makes notices of what the audit log has gained, and stores them for each webhook that wants them. No request waits for
 * this, and none that is recorded is missed: the log itself is the list of what is to be told. Returns how many were made.
 */
export async function collectNotices(
  broker: Broker,
  webhooks: readonly Webhook[],
  { since, until }: Collecting,
): Promise<number> {
  const { audit, state, now } = broker;
  if (audit.list === undefined) return 0;
  const wanted = new Set<string>(webhooks.flatMap(({ types }) => types));
  let collected = 0;
  const take = async (addition: Addition): Promise<void> => {
    const notices: Told[] = [];
    for (const draft of toDrafts(broker, addition)) {
      if (!wanted.has(draft.type) || new Date(draft.time) < since) continue;
      notices.push(await complete(broker, draft));
    }
    const recent = addition.entries.filter(({ time }) => !(new Date(time) < since));
    const batches = wanted.has(everyEntry) ? toEntryBatches(recent, broker.url, now()) : [];
    for (const { name, types } of webhooks) {
      const told = notices.filter(({ type }) => types.includes(type));
      await storeNotices(state, name, types.includes(everyEntry) ? [...told, ...batches] : told);
    }
    collected += notices.length + batches.length;
  };
  const reader = { list: audit.list, state, partition: 'noticed', context: contextEntries, now };
  await followAudit(reader, until, take);
  return collected;
}

type Told = Notice & Pick<Draft, 'type'>;

function toDrafts({ log }: Broker, { entries, before }: Addition): readonly Draft[] {
  const all = [...before, ...entries];
  const drafts = entries.map((entry, index) => {
    const place = before.length + index;
    try {
      return toDraft(entry, all.slice(Math.max(0, place - contextEntries), place));
    } catch (failure) {
      return reportUnreadable(log, entry, failure);
    }
  });
  return drafts.filter((draft) => draft !== undefined);
}

async function complete(broker: Broker, draft: Draft): Promise<Told> {
  const stored = draft.kind === 'sessions' ? await findStored(broker, draft.subject) : undefined;
  return toNotice(draft, broker.url, stored);
}

async function findStored(broker: Broker, id: string): Promise<Session | undefined> {
  try {
    return (await findSession(broker, id))?.session;
  } catch (failure) {
    // An outage passes, and the entry comes again. What is wrong with the session stays wrong, and its id can be told.
    if (failure instanceof BrokerError) throw failure;
    broker.log('notice.session-unreadable', { session: id, failure });
    return undefined;
  }
}

function reportUnreadable(
  log: Broker['log'],
  { chain, sequence }: Pick<Entry, 'chain' | 'sequence'>,
  failure: unknown,
): undefined {
  log('notice.unreadable', { chain, sequence, failure });
}
