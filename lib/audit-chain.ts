import { measureEvent } from './audit-entry.ts';
import type { WriterSettings } from './audit-writer.ts';
import { ChainWriter } from './audit-writer.ts';
import type { Audit, AuditEvent, Receipt } from './audit.ts';
import { BrokerError } from './failure.ts';

/** The audit log of this process; `close` writes what waits, ends the chain, and never fails. */
export type AuditChain = Audit & { readonly close: () => Promise<void> };

type Waiting = {
  readonly event: AuditEvent;
  readonly sizeBytes: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (failure: BrokerError) => void;
};

// With the entry that opens a chain, 50: half of what a transaction holds, and far from its 4 MiB.
const maxBatchEvents = 49;
const maxBatchBytes = 3 * 1024 * 1024;

const maxWaiting = 5000;

/**
 * Opens the audit log: hash chains in a table, in the format of `docs/audit-format.md`. Nothing is written before the
 * first event. One batch is under way at a time, and what comes meanwhile rides in the next. When the table fails, all
 * who wait are told so at once, and the next event tries again.
 */
export function openAudit(settings: WriterSettings): AuditChain {
  const writer = new ChainWriter(settings);
  const waiting: Waiting[] = [];
  let writing: Promise<void> | undefined;
  let isClosed = false;

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = takeBatch(waiting);
      try {
        settle(batch, await writer.write(batch.map(({ event }) => event)));
      } catch (failure) {
        settings.log('audit-unavailable', { failure, events: batch.length + waiting.length });
        // Whoever waits has waited for this answer, and would wait as long for the next.
        for (const { reject } of [...batch, ...waiting.splice(0)]) reject(unavailable(failure));
      }
    }
    // Here and not in a `finally`: an event that comes later must find that nobody is writing.
    writing = undefined;
  };
  return {
    append: async (events) => {
      const sizes = events.map(measureEvent);
      if (isClosed) throw unavailable(new Error('the audit log is closed'));
      if (waiting.length + events.length > maxWaiting)
        throw unavailable(new Error('too many events wait for the audit log'));
      const receipts = events.map(
        async (event, index) =>
          new Promise<Receipt>((resolve, reject) => {
            waiting.push({ event, sizeBytes: sizes[index] ?? 0, resolve, reject });
          }),
      );
      if (events.length > 0) writing ??= writeAll();
      return Promise.all(receipts);
    },
    list: settings.table.list,
    close: async () => {
      isClosed = true;
      try {
        await writing;
        await writer.close();
      } catch (failure) {
        settings.log('audit-left-open', { failure });
      }
    },
  };
}

function takeBatch(waiting: Waiting[]): readonly Waiting[] {
  let sizeBytes = 0;
  const isFull = waiting.findIndex((next, index) => {
    sizeBytes += next.sizeBytes;
    return index === maxBatchEvents || (index > 0 && sizeBytes > maxBatchBytes);
  });
  return waiting.splice(0, isFull === -1 ? waiting.length : isFull);
}

function settle(batch: readonly Waiting[], receipts: readonly Receipt[] | 'displaced'): void {
  for (const [index, { resolve, reject }] of batch.entries()) {
    const receipt = receipts === 'displaced' ? undefined : receipts[index];
    if (receipt === undefined) reject(unavailable(new Error('a foreign entry is in its place')));
    else resolve(receipt);
  }
}

function unavailable(cause: unknown): BrokerError {
  return new BrokerError('audit-unavailable', 'Try again in a few seconds.', {
    cause,
    retryAfterSeconds: 5,
  });
}
