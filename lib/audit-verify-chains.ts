import { findDay } from './audit-entry.ts';
import type { Head } from './audit-entry.ts';
import { leadMilliseconds } from './audit-export-line.ts';
import type { ChainLine, EntryLine } from './audit-export-line.ts';
import { ChainVerifier } from './audit-verify-chain.ts';
import type { CheckpointVerifier, Days } from './audit-verify-checkpoints.ts';
import { isWithin } from './audit-verify-checkpoints.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import type { ChainTrust } from './audit-verify-key.ts';
import { readChainKey } from './audit-verify-key.ts';

/** Entries that no checkpoint of the file seals. Whether more of them were there nobody can tell. */
export type Unsealed = {
  readonly entries: number;
  /** When the first and the last of them were composed, as they say (ISO 8601). */
  readonly oldest: string;
  readonly newest: string;
  /** How many say that they are older than the last checkpoint by more than an hour, which should have sealed them. */
  readonly overdue: number;
};

type End = { readonly sequence: number; readonly hash: string | null };

/** Verifies chains, one after the other, and what they say of each other. Of each it holds the end. */
export class ChainsVerifier {
  readonly #trust: ChainTrust;
  readonly #days: Days;
  readonly #checkpoints: CheckpointVerifier;
  readonly #ends = new Map<string, End>();
  readonly #links: { readonly chain: string; readonly after: Head }[] = [];
  #current: { readonly chain: string; readonly verifier: ChainVerifier } | undefined;
  #sealed = 0;
  #unsealed: Unsealed | undefined;

  constructor(trust: ChainTrust, days: Days, checkpoints: CheckpointVerifier) {
    this.#trust = trust;
    this.#days = days;
    this.#checkpoints = checkpoints;
  }

  get sealed(): number {
    return this.#sealed;
  }

  get unsealed(): Unsealed | undefined {
    return this.#unsealed;
  }

  /** How many chains are not there because retention has removed them. */
  get pruned(): number {
    const { heads } = this.#checkpoints;
    const isPruned = (chain: string) => !this.#ends.has(chain) && heads.findPruned(chain);
    return heads.list().filter(isPruned).length;
  }

  /** Begins with the next chain, once the one before has been found whole. */
  open(line: ChainLine): AuditFault | undefined {
    const { chain } = line;
    const fault = this.#endCurrent() ?? this.#findPlaceFault(chain);
    if (fault !== undefined) return fault;
    const key = readChainKey(line, this.#trust);
    if ('code' in key) return key;
    const seals = this.#checkpoints.heads.findSeals(chain);
    this.#current = { chain, verifier: new ChainVerifier(line, key, seals) };
    return undefined;
  }

  /** Verifies the next entry of the chain that was begun. */
  take({ chain, seq: sequence, b: body, h: hash, s, kid }: EntryLine): AuditFault | undefined {
    const current = this.#current;
    if (current?.chain !== chain) {
      const detail = `Entry ${sequence} of chain ${chain} stands among those of another chain.`;
      return { code: 'entry-misplaced', chain, sequence, detail };
    }
    const signed = {
      ...(s === undefined ? {} : { signature: s }),
      ...(kid === undefined ? {} : { kid }),
    };
    const taken = current.verifier.take({ chain, sequence, body, hash, ...signed });
    if ('code' in taken) return taken;
    this.#count(chain, sequence, taken.time);
    return undefined;
  }

  /** Returns what is wrong with the chains as a whole, once all have been taken. */
  end(): AuditFault | undefined {
    return this.#endCurrent() ?? this.#findMissing() ?? this.#findBrokenLink();
  }

  #findPlaceFault(chain: string): AuditFault | undefined {
    const before = this.#current?.chain;
    if (before !== undefined && chain <= before)
      return misplace(chain, `does not come after chain ${before}`);
    if (isWithin(chain, this.#days)) return undefined;
    return misplace(chain, 'is not of the days that the file is said to hold');
  }

  #endCurrent(): AuditFault | undefined {
    if (this.#current === undefined) return undefined;
    const { chain, verifier } = this.#current;
    this.#ends.set(chain, verifier.place);
    if (verifier.after !== null) this.#links.push({ chain, after: verifier.after });
    return verifier.end();
  }

  #count(chain: string, sequence: number, time: string): void {
    const { heads, last } = this.#checkpoints;
    if (sequence <= (heads.findLast(chain)?.sequence ?? 0)) {
      this.#sealed += 1;
      return;
    }
    const { entries, oldest, newest, overdue } = this.#unsealed ?? {
      entries: 0,
      oldest: time,
      newest: time,
      overdue: 0,
    };
    const isOverdue =
      last !== undefined && Date.parse(time) + leadMilliseconds < Date.parse(last.time);
    this.#unsealed = {
      entries: entries + 1,
      oldest: time < oldest ? time : oldest,
      newest: newest < time ? time : newest,
      overdue: overdue + (isOverdue ? 1 : 0),
    };
  }

  #findMissing(): AuditFault | undefined {
    const { heads } = this.#checkpoints;
    const chain = heads
      .list()
      .find((known) => !this.#ends.has(known) && heads.findPruned(known) === undefined);
    const seal = chain === undefined ? undefined : heads.findLast(chain);
    if (chain === undefined || seal === undefined) return undefined;
    const detail = `Chain ${chain} is missing, of which checkpoint ${seal.n} sealed ${seal.sequence} entries.`;
    return { code: 'chain-missing', chain, detail };
  }

  #findBrokenLink(): AuditFault | undefined {
    for (const { chain, after } of this.#links) {
      const fault = this.#findLinkFault(chain, after);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #findLinkFault(chain: string, after: Head): AuditFault | undefined {
    const { chain: named, sequence, hash } = after;
    const end = this.#findEnd(named);
    if (end === undefined && isWithin(named, this.#days)) {
      const detail = `Chain ${named} is missing, after which the writer of chain ${chain} went on.`;
      return { code: 'chain-missing', chain: named, detail };
    }
    const sealed = this.#checkpoints.heads.findLast(named);
    const isSame =
      end === undefined
        ? sealed === undefined || sealed.sequence < sequence || isPlace(sealed, after)
        : isPlace(end, after);
    if (isSame && findDay(named) <= findDay(chain)) return undefined;
    const detail = `Chain ${named} does not end with the entry ${sequence} (${hash}) after which the writer of chain ${chain} went on.`;
    return { code: 'chain-unlinked', chain: named, sequence, detail };
  }

  #findEnd(chain: string): End | undefined {
    const pruned = this.#checkpoints.heads.findPruned(chain);
    return this.#ends.get(chain) ?? (pruned && { sequence: pruned.seq, hash: pruned.hash });
  }
}

function isPlace({ sequence, hash }: End, head: Head): boolean {
  return sequence === head.sequence && hash === head.hash;
}

function misplace(chain: string, text: string): AuditFault {
  return { code: 'chain-misplaced', chain, detail: `Chain ${chain} ${text}.` };
}
