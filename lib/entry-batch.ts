import type { Entry } from './audit-tail.ts';
import type { Notice } from './notice.ts';

/** The type of a notice that carries audit entries: a batch of CloudEvents, one for each entry. */
export const entryBatchType = 'sallyport.audit';

// Well below the megabyte that receivers of CloudEvents usually take; the longest entry comes on top.
const maxBatchLength = 100_000;
const maxBatchEntries = 100;

/**
 * Returns entries of one chain as they are sent: batches of CloudEvents (JSON batch format), each with the whole entry,
 * in the order of the chain. The id of an event names the entry, and never changes; that of a batch names the first and
 * the last of its entries.
 */
export function toEntryBatches(entries: readonly Entry[], broker: URL, now: Date): Notice[] {
  const batches: { readonly entries: Entry[]; readonly events: string[]; length: number }[] = [];
  for (const entry of entries) {
    const text = JSON.stringify(toEvent(entry, broker));
    const last = batches.at(-1);
    const isFull =
      last === undefined ||
      last.entries.length === maxBatchEntries ||
      maxBatchLength < last.length + text.length;
    const batch = isFull ? { entries: [], events: [], length: 0 } : last;
    if (isFull) batches.push(batch);
    batch.entries.push(entry);
    batch.events.push(text);
    batch.length += text.length;
  }
  return batches.map((batch) => toBatch(batch.entries, batch.events, now));
}

function toBatch(entries: readonly Entry[], events: readonly string[], now: Date): Notice {
  const [first, last] = [entries[0], entries.at(-1)];
  const places = [first?.chain, first?.sequence, last?.sequence];
  return {
    // No full stop may be in an id: it separates what is signed.
    id: places.map(String).join('-'),
    type: entryBatchType,
    // An entry that cannot be read has none.
    time: entries.find(({ time }) => isTime(time))?.time ?? now.toISOString(),
    body: `[${events.join(',')}]`,
  };
}

function toEvent({ chain, sequence, time, hash, body }: Entry, broker: URL) {
  const isReadable = time !== '';
  const { type, session } = body;
  return {
    specversion: '1.0',
    id: `${chain}-${String(sequence)}`,
    source: broker.origin,
    type: typeof type === 'string' ? `${entryBatchType}.${type}` : entryBatchType,
    ...(typeof session === 'string' && session !== '' ? { subject: session } : {}),
    ...(isTime(time) ? { time } : {}),
    datacontenttype: 'application/json',
    data: { chain, seq: sequence, hash, ...(isReadable ? { body } : {}) },
  };
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text);
}
