import { createPublicKey } from 'node:crypto';
import jwt from 'jsonwebtoken';
import * as z from 'zod';
import type { Batch, Chain, ChainEvent, Head } from './audit-entry.ts';
import { composeBatch, findDay, toChainId, toDay, toRegistryRow } from './audit-entry.ts';
import type { AuditEvent, Receipt } from './audit.ts';
import type { Keys, Log } from './broker.ts';
import { BrokerError } from './failure.ts';
import { toPublicJwk } from './root-key.ts';
import type { Table } from './table.ts';
import type { SigningKey } from './endorsement.ts';

/** Where chains are written, by whom, and with which keys. */
export type WriterSettings = {
  readonly table: Table;
  readonly keys: Pick<Keys, 'current'>;
  /** The id of this process, new at each start. */
  readonly writer: string;
  readonly version: string;
  readonly policyDigest: () => string;
  readonly now: () => Date;
  readonly newId: () => string;
  readonly log: Log;
};

// Far longer than any call is under way.
const doubtMilliseconds = 3_600_000;

const expiryShape = z.object({ exp: z.number() });

/**
 * Writes the audit chains of one process, one batch at a time: a call must have ended before the next begins. A new
 * chain begins at first, on each day (UTC), with each signing key, and where another has written into the old one.
 */
export class ChainWriter {
  readonly #settings: WriterSettings;
  /** A chain whose announcement is not known to be stored. */
  #announced: Chain | undefined;
  /** INVARIANT: the table holds this chain up to its head, and nothing after it but what `#doubtful` holds. */
  #chain: Chain | undefined;
  /** What may or may not have been stored; stored within the hour, or known not to be, before anything else is written. */
  #doubtful: Batch | undefined;
  #after: Head | null = null;

  constructor(settings: WriterSettings) {
    this.#settings = settings;
  }

  /**
   * Appends the events. They are durable once resolved; on failure they may be stored now or later, but nothing is
   * written before that is certain. `displaced` says that a foreign entry is in their place, and that they are not stored.
   */
  async write(events: readonly AuditEvent[]): Promise<readonly Receipt[] | 'displaced'> {
    await this.#settle();
    const key = await this.#settings.keys.current();
    const time = this.#settings.now();
    await this.#retire((chain) => !isCurrent(chain, key, time), time);
    const chain = this.#chain ?? (await this.#open(key, time));
    const opening = chain.hash === null ? [this.#describe()] : [];
    const batch = composeBatch(chain, [...opening, ...events], time);
    return (await this.#store(batch)) ? batch.receipts.slice(opening.length) : 'displaced';
  }

  /** Ends the chain that is open, if any, with its last entry. */
  async close(): Promise<void> {
    await this.#settle();
    await this.#retire(() => true, this.#settings.now());
  }

  async #settle(): Promise<void> {
    const batch = this.#doubtful;
    if (batch === undefined) return;
    if (this.#settings.now().getTime() < batch.time.getTime() + doubtMilliseconds)
      await this.#store(batch);
    else await this.#lookFor(batch);
  }

  // By now it is stored or never will be. It is not sent again: what comes days late, a sealer would not look for.
  async #lookFor(batch: Batch): Promise<void> {
    const [first] = batch.rows;
    if (first === undefined) return;
    const found = await this.#settings.table.find(first.partition, first.row);
    this.#doubtful = undefined;
    if (found !== undefined) this.#advance(batch, found.values['h'] === first.values['h']);
  }

  async #open(key: SigningKey, time: Date): Promise<Chain> {
    const { newId, table } = this.#settings;
    if (this.#announced === undefined || !isCurrent(this.#announced, key, time))
      this.#announced = { id: toChainId(time, newId()), key, sequence: 0, hash: null };
    const chain = this.#announced;
    const jwk = toPublicJwk(createPublicKey(key.privateKey));
    const outcome = await table.insert(toRegistryRow(chain, jwk, this.#settings));
    this.#announced = undefined;
    if (outcome === 'exists') throw new Error(`the id of the new chain ${chain.id} is taken`);
    this.#chain = chain;
    return chain;
  }

  #describe(): ChainEvent {
    const { policyDigest, version, writer } = this.#settings;
    return { type: 'chain.opened', writer, version, policy: policyDigest(), after: this.#after };
  }

  async #retire(isOver: (chain: Chain) => boolean, time: Date): Promise<void> {
    const chain = this.#chain;
    if (chain === undefined || !isOver(chain)) return;
    // Nothing may be signed with a key that has expired: `after` of the next chain then says where this one ended.
    if (chain.hash === null || isExpired(chain.key, time)) return this.#leave(chain);
    await this.#store(composeBatch(chain, [{ type: 'chain.closed' }], time));
  }

  async #store(batch: Batch): Promise<boolean> {
    this.#doubtful = batch;
    try {
      const outcome = await this.#settings.table.insertAll(batch.rows);
      this.#doubtful = undefined;
      this.#advance(batch, outcome === 'inserted');
      return outcome === 'inserted';
    } catch (failure) {
      // Anything but a failure of the table happened before the batch was sent, and would happen every time.
      if (!(failure instanceof BrokerError)) this.#doubtful = undefined;
      throw failure;
    }
  }

  #advance(batch: Batch, isStored: boolean): void {
    if (isStored) this.#chain = batch.chain;
    const chain = this.#chain;
    if (chain === undefined || (isStored && !batch.isLast)) return;
    this.#leave(chain);
    if (isStored) return;
    // Only this process writes this chain, so somebody has tampered with it: leave it as it is, for the verifier.
    this.#settings.log('audit-chain-displaced', { chain: chain.id, sequence: chain.sequence + 1 });
  }

  #leave({ id, sequence, hash }: Chain): void {
    if (hash !== null) this.#after = { chain: id, sequence, hash };
    this.#chain = undefined;
  }
}

function isCurrent(chain: Chain, key: SigningKey, time: Date): boolean {
  return chain.key.kid === key.kid && findDay(chain.id) === toDay(time);
}

function isExpired(key: SigningKey, time: Date): boolean {
  const payload = expiryShape.safeParse(jwt.decode(key.endorsement));
  return !payload.success || payload.data.exp * 1000 <= time.getTime();
}
