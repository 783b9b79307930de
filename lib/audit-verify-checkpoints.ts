import { findDay } from './audit-entry.ts';
import { leadMilliseconds, toDayStart } from './audit-export-line.ts';
import type { CheckpointLine } from './audit-export-line.ts';
import type { AuditFault, AuditFaultCode } from './audit-verify-fault.ts';
import { CheckpointHeads, type Growth } from './audit-verify-heads.ts';
import type { ChainTrust } from './audit-verify-key.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkpointShape, findCheckpointFault } from './checkpoint.ts';
import { parseJson } from './json.ts';

/** A checkpoint that is known from elsewhere. */
export type Anchor = { readonly n: number; readonly hash: string };

/** The last checkpoint of a file. */
export type LastCheckpoint = Anchor & { readonly time: string };

/** The days (UTC) whose chains a file holds, the first and the last, as `yyyymmdd`. */
export type Days = { readonly from: string; readonly to: string };

const untrusted = 'is not signed by a root key that is trusted';

/** Verifies checkpoints, one after the other, and holds what they seal of the chains of some days. */
export class CheckpointVerifier {
  readonly #trust: ChainTrust;
  readonly #days: Days;
  readonly #anchor: Anchor | undefined;
  readonly #heads: CheckpointHeads;
  #first: number | undefined;
  #last: (LastCheckpoint & { readonly entries: number }) | undefined;
  #isAnchored = false;

  constructor(trust: ChainTrust, days: Days, anchor: Anchor | undefined) {
    this.#trust = trust;
    this.#days = days;
    this.#anchor = anchor;
    this.#heads = new CheckpointHeads((chain) => isWithin(chain, days));
  }

  get last(): LastCheckpoint | undefined {
    return this.#last;
  }

  get heads(): CheckpointHeads {
    return this.#heads;
  }

  /** Verifies the next checkpoint and returns what is wrong with it. */
  take(line: CheckpointLine): AuditFault | undefined {
    const { n, b: body, h: hash, s: signature, kid } = line;
    const own = findCheckpointFault({ body, hash, signature, kid }, this.#trust.roots);
    if (own === 'altered')
      return fail(n, 'checkpoint-altered', 'does not have the hash that stands beside it');
    if (own === 'untrusted') return fail(n, 'checkpoint-untrusted', untrusted);
    const checkpoint = checkpointShape.safeParse(parseJson(body)).data;
    if (checkpoint?.n !== n)
      return fail(n, 'checkpoint-altered', 'says of itself that it is another one');
    const fault =
      this.#findPlaceFault(checkpoint, hash) ??
      this.#findContentFault(checkpoint) ??
      this.#findAnchorFault(n, hash);
    if (fault !== undefined) return fault;
    this.#first ??= n;
    this.#last = { n, hash, time: checkpoint.time, entries: checkpoint.entries };
    return undefined;
  }

  /** Returns what is wrong with the checkpoints as a whole, once all have been taken. */
  end(): AuditFault | undefined {
    if (this.#anchor === undefined || this.#isAnchored) return undefined;
    const { n } = this.#anchor;
    const extent =
      this.#last === undefined ? 'no checkpoint' : `checkpoints ${this.#first} to ${this.#last.n}`;
    const detail = `The anchor, checkpoint ${n}, is not in the file, which holds ${extent}.`;
    return { code: 'anchor-missing', checkpoint: n, detail };
  }

  #findPlaceFault(checkpoint: Checkpoint, hash: string): AuditFault | undefined {
    const { n, prev } = checkpoint;
    const last = this.#last;
    if (last === undefined) return this.#findStartFault(checkpoint);
    if (last.n + 1 < n)
      return fail(last.n + 1, 'checkpoint-missing', `is missing: checkpoint ${n} comes next`);
    if (n === last.n && hash !== last.hash)
      return fail(n, 'checkpoint-forked', 'stands there twice, with two hashes');
    if (n <= last.n) return fail(n, 'checkpoint-misplaced', `stands after checkpoint ${last.n}`);
    if (prev === last.hash) return undefined;
    const text = `does not follow checkpoint ${last.n} as it stands here: one of the two is of a fork`;
    return fail(n, 'checkpoint-unlinked', text);
  }

  // Earlier checkpoints must not matter: else a chain of these days that they seal could have been left out.
  #findStartFault({ n, prev, time }: Checkpoint): AuditFault | undefined {
    if ((n === 1) !== (prev === null))
      return fail(n, 'checkpoint-contradicts', 'is the first, or says so and is not');
    if (n === 1 || Date.parse(time) <= toDayStart(this.#days.from) - leadMilliseconds)
      return undefined;
    const text = `is missing: the file begins with checkpoint ${n}, too late for its first day`;
    return fail(n - 1, 'checkpoint-missing', text);
  }

  #findContentFault(checkpoint: Checkpoint): AuditFault | undefined {
    const { n, issuer, time } = checkpoint;
    const last = this.#last;
    if (issuer !== this.#trust.issuer) return contradict(n, 'is of another broker');
    if (last !== undefined && Date.parse(time) < Date.parse(last.time))
      return contradict(n, 'is older than the one before it');
    const growth = this.#heads.take(checkpoint);
    return typeof growth === 'string'
      ? contradict(n, growth)
      : this.#findCountFault(checkpoint, growth);
  }

  #findCountFault({ n, entries }: Checkpoint, { least, most }: Growth): AuditFault | undefined {
    const before = n === 1 ? 0 : this.#last?.entries;
    if (before === undefined || (before + least <= entries && entries <= before + most))
      return undefined;
    return contradict(n, 'counts other entries than it seals');
  }

  #findAnchorFault(n: number, hash: string): AuditFault | undefined {
    if (n !== this.#anchor?.n) return undefined;
    this.#isAnchored = true;
    if (hash === this.#anchor.hash) return undefined;
    return fail(
      n,
      'anchor-differs',
      `has the hash ${hash}, unlike the anchor: one of the two is of a fork`,
    );
  }
}

/** Whether a chain began on one of the days. */
export function isWithin(chain: string, { from, to }: Days): boolean {
  const day = findDay(chain);
  return from <= day && day <= to;
}

function contradict(n: number, text: string): AuditFault {
  return fail(n, 'checkpoint-contradicts', text);
}

function fail(n: number, code: AuditFaultCode, text: string): AuditFault {
  return { code, checkpoint: n, detail: `Checkpoint ${n} ${text}.` };
}
