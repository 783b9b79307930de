import type { Head } from './audit-entry.ts';
import type { AuditFault, AuditFaultCode } from './audit-verify-fault.ts';
import type { EntryBody, StoredEntry } from './audit-verify-entry.ts';
import { isHashOf, isSignedBy, parseBody, parseOpening } from './audit-verify-entry.ts';
import type { Announcement, ChainKey } from './audit-verify-key.ts';

/** A place of a chain that a checkpoint has sealed. */
export type Seal = {
  /** The number of the checkpoint. */
  readonly n: number;
  readonly sequence: number;
  readonly hash: string;
  readonly closed: boolean;
};

/** How far a chain has been verified; nothing of it when it has no hash. */
export type ChainPlace = {
  readonly sequence: number;
  readonly hash: string | null;
  /** Whether the last entry is the one that ends a chain. */
  readonly isClosed: boolean;
};

const start: ChainPlace = { sequence: 0, hash: null, isClosed: false };

/**
 * Verifies the entries of one chain, one after the other, and holds none of them. It can begin after an entry that was
 * verified before, such as the last one that is sealed.
 */
export class ChainVerifier {
  readonly #announced: Announcement;
  readonly #key: ChainKey;
  /** Those that are still ahead, in the order of their sequence. */
  readonly #seals: readonly Seal[];
  #passed = 0;
  #place: ChainPlace;
  #signed: number;
  #after: Head | null = null;

  constructor(
    announced: Announcement,
    key: ChainKey,
    seals: readonly Seal[] = [],
    place: ChainPlace = start,
  ) {
    this.#announced = announced;
    this.#key = key;
    this.#seals = seals;
    this.#place = place;
    this.#signed = place.sequence;
  }

  /** INVARIANT: everything up to here has been verified. */
  get place(): ChainPlace {
    return this.#place;
  }

  /** The last entry of the chain that this one goes on from, as its first entry says. */
  get after(): Head | null {
    return this.#after;
  }

  /** Verifies the next entry and returns its time (ISO 8601), or what is wrong with it. */
  take(entry: StoredEntry): AuditFault | { readonly time: string } {
    const misplaced = this.#findPlaceFault(entry);
    if (misplaced !== undefined) return misplaced;
    const body = this.#read(entry);
    if ('code' in body) return body;
    const fault =
      this.#findLinkFault(entry, body) ??
      this.#findSealFault(entry, body) ??
      this.#findTypeFault(entry, body) ??
      this.#findTimeFault(entry, body) ??
      this.#findSignatureFault(entry);
    if (fault !== undefined) return fault;
    const isClosed = body.type === 'chain.closed';
    this.#place = { sequence: entry.sequence, hash: entry.hash, isClosed };
    return { time: body.time };
  }

  /** Returns what is wrong with the end of the chain, once all its entries have been taken. */
  end(): AuditFault | undefined {
    const { chain } = this.#announced;
    const { sequence } = this.#place;
    const sealed = this.#seals.at(-1);
    if (sealed !== undefined && sequence < sealed.sequence) {
      const detail = `Chain ${chain} ends with entry ${sequence}, and checkpoint ${sealed.n} sealed entry ${sealed.sequence} of it.`;
      return { code: 'chain-truncated', chain, sequence, detail };
    }
    if (sequence === 0) {
      const detail = `Chain ${chain} has no entry.`;
      return { code: 'entry-missing', chain, sequence: 1, detail };
    }
    if (this.#signed === sequence) return undefined;
    const entries = nameEntries(this.#signed + 1, sequence);
    const detail = `Nobody signed ${entries} of chain ${chain}: forged, or the end of their batch was cut off.`;
    return { code: 'entry-unsigned', chain, sequence: this.#signed + 1, detail };
  }

  #read(entry: StoredEntry): EntryBody | AuditFault {
    if (!isHashOf(entry))
      return this.#fail(entry, 'entry-altered', 'does not have the hash that stands beside it');
    const body = parseBody(entry.body);
    return body?.chain === entry.chain && body.seq === entry.sequence
      ? body
      : this.#fail(entry, 'entry-moved', 'says of itself that it is another one');
  }

  #findPlaceFault(entry: StoredEntry): AuditFault | undefined {
    const { sequence, hash, isClosed } = this.#place;
    if (isClosed)
      return this.#fail(entry, 'entry-after-end', 'stands after the one that ends the chain');
    if (entry.sequence === sequence + 1) return undefined;
    if (sequence + 1 < entry.sequence) {
      const missing = { ...entry, sequence: sequence + 1 };
      return this.#fail(missing, 'entry-missing', `is missing: entry ${entry.sequence} comes next`);
    }
    return entry.sequence === sequence && entry.hash !== hash
      ? this.#fail(entry, 'entry-forked', 'stands there twice, with two hashes')
      : this.#fail(entry, 'entry-misplaced', `stands after entry ${sequence}`);
  }

  #findLinkFault(entry: StoredEntry, { prev }: EntryBody): AuditFault | undefined {
    const { sequence, hash } = this.#place;
    if (prev === hash) return undefined;
    const text = `does not follow entry ${sequence} as it stands here: one of the two was replaced`;
    return this.#fail(entry, 'entry-unlinked', text);
  }

  #findSealFault(entry: StoredEntry, { type }: EntryBody): AuditFault | undefined {
    const seal = this.#seals[this.#passed];
    if (seal?.sequence !== entry.sequence) return undefined;
    this.#passed += 1;
    if (seal.hash !== entry.hash)
      return this.#fail(entry, 'entry-forked', `is not the one that checkpoint ${seal.n} sealed`);
    if (seal.closed === (type === 'chain.closed')) return undefined;
    const text = `${seal.closed ? 'does not end' : 'ends'} the chain, unlike in checkpoint ${seal.n}`;
    return this.#fail(entry, 'checkpoint-contradicts', text);
  }

  #findTypeFault(entry: StoredEntry, { type }: EntryBody): AuditFault | undefined {
    const isFirst = entry.sequence === 1;
    if ((type === 'chain.opened') !== isFirst)
      return this.#fail(entry, 'entry-misplaced', 'opens a chain, or should and does not');
    return isFirst ? this.#findOpeningFault(entry) : undefined;
  }

  #findOpeningFault(entry: StoredEntry): AuditFault | undefined {
    const opening = parseOpening(entry.body);
    const { writer, version } = this.#announced;
    if (opening?.writer !== writer || opening.version !== version)
      return this.#fail(entry, 'chain-altered', 'names another writer than its announcement');
    this.#after = opening.after;
    return undefined;
  }

  #findTimeFault(entry: StoredEntry, { time }: EntryBody): AuditFault | undefined {
    const at = Date.parse(time);
    if (this.#key.from <= at && at <= this.#key.until) return undefined;
    const text = `is of ${time}, when its key was not to be used`;
    return this.#fail(entry, 'entry-out-of-time', text);
  }

  #findSignatureFault(entry: StoredEntry): AuditFault | undefined {
    const { body, signature, kid, sequence } = entry;
    if (signature === undefined && kid === undefined) return undefined;
    if (kid !== this.#key.kid)
      return this.#fail(
        entry,
        'entry-forged',
        'is signed with a key that is not that of its chain',
      );
    if (signature === undefined || !isSignedBy(body, signature, this.#key.key)) {
      const entries = nameEntries(this.#signed + 1, sequence);
      const text = `has a signature that is not right: something in ${entries} was replaced`;
      return this.#fail(entry, 'entry-forged', text);
    }
    this.#signed = sequence;
    return undefined;
  }

  #fail({ chain, sequence }: StoredEntry, code: AuditFaultCode, text: string): AuditFault {
    return { code, chain, sequence, detail: `Entry ${sequence} of chain ${chain} ${text}.` };
  }
}

function nameEntries(from: number, to: number): string {
  return from === to ? `entry ${to}` : `entries ${from} to ${to}`;
}
