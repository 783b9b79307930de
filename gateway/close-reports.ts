import type { CloseRequest } from '../lib/gateway-call.ts';
import { describeError } from './log.ts';
import type { Log } from './log.ts';

/** Reports one close. Resolves with `refused` when the broker will never take it; rejects when it may be tried again. */
export type ReportClose = (
  connection: string,
  report: CloseRequest,
) => Promise<'taken' | 'refused'>;

// At 300 bytes each this is 6 MB, and more than one gateway closes in an hour.
const maxWaiting = 20_000;
const batchSize = 16;

/** The closes that the broker has not confirmed. They wait here, in memory and in order, while it is away. */
export class CloseReports {
  readonly #report: ReportClose;
  readonly #log: Log;
  readonly #waiting = new Map<string, CloseRequest>();
  #sending: Promise<void> | undefined;

  constructor(report: ReportClose, log: Log) {
    this.#report = report;
    this.#log = log;
  }

  /** The reports that wait, by connection. */
  get waiting(): ReadonlyMap<string, CloseRequest> {
    return this.#waiting;
  }

  /** Adds a report and begins to send it. When too many wait, the oldest is dropped and logged. */
  add(connection: string, report: CloseRequest): void {
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= maxWaiting && oldest !== undefined) {
      this.#waiting.delete(oldest);
      this.#log('close-report-dropped', { connection: oldest });
    }
    this.#waiting.set(connection, report);
    void this.flush();
  }

  /** Sends what waits. Resolves when nothing waits any more, or at the first failure; never rejects. */
  async flush(): Promise<void> {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #send(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, batchSize);
      const sent = await Promise.all(batch.map(async ([id, report]) => this.#sendOne(id, report)));
      if (sent.includes(false)) return;
    }
  }

  async #sendOne(connection: string, report: CloseRequest): Promise<boolean> {
    try {
      const outcome = await this.#report(connection, report);
      if (outcome === 'refused') this.#log('close-report-refused', { connection });
      this.#waiting.delete(connection);
      return true;
    } catch (error) {
      this.#log('close-report-failed', { connection, cause: describeError(error) });
      return false;
    }
  }
}
