import type { Log } from './broker.ts';
import type { Policy } from './decision.ts';
import { readBundle } from './policy-bundle.ts';
import { parsePointer } from './policy-pointer.ts';
import type { PolicyRecord, Publication } from './policy-record.ts';
import { findLastBundle, recordPublished, recordRejected } from './policy-record.ts';
import type { Finding, PolicyFile } from './policy-scan.ts';
import type { PolicySource, StoredPointer } from './policy-source.ts';

/** What it takes to follow the published sets. */
export type FollowerParts = PolicyRecord & {
  readonly source: PolicySource;
  /** Returns what is to be repaired in a set, which may be a hostile one. */
  readonly check: (files: readonly PolicyFile[]) => Promise<readonly Finding[]>;
  /** Makes a set that was found sound ready for decisions. */
  readonly load: (files: readonly PolicyFile[]) => Policy;
  readonly now: () => Date;
  readonly log: Log;
};

type Taken = { readonly bundle: string; readonly policy: Policy };

/** A version of the pointer that has been dealt with, and until when that stands. */
type Answered = { readonly etag: string; readonly until: number };

type Judged =
  | { readonly outcome: 'sound'; readonly policy: Policy }
  | { readonly outcome: 'faulty'; readonly findings: readonly Finding[] };

// A thread may also fail for want of memory or time on a busy machine, so no rejection is for ever.
const rejectedMilliseconds = 300_000;

/** Follows the sets that a store publishes: takes each that is sound, and keeps the last good one. */
export class PolicyFollower {
  readonly #parts: FollowerParts;
  #taken: Taken | undefined;
  #answered: Answered | undefined;
  #isConfirmed = true;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** The set in force; undefined until the first was taken. */
  get policy(): Policy | undefined {
    return this.#taken?.policy;
  }

  /** Looks whether another set is published. Never fails: whatever goes wrong, the set in force stays. */
  async look(): Promise<void> {
    const { log } = this.#parts;
    try {
      const pointer = await this.#readPointer();
      if (pointer !== 'unchanged') await this.#follow(pointer);
      if (!this.#isConfirmed) log('policy.confirmed', { inForce: this.policy?.digest });
      this.#isConfirmed = true;
    } catch (failure) {
      if (this.#isConfirmed) log('policy.unconfirmed', { inForce: this.policy?.digest, failure });
      this.#isConfirmed = false;
    }
  }

  async #readPointer(): Promise<StoredPointer | 'unchanged'> {
    const { now, source } = this.#parts;
    const answered = this.#answered;
    const isAnswered = answered !== undefined && now().getTime() < answered.until;
    return source.readPointer(isAnswered ? answered.etag : undefined);
  }

  async #follow({ etag, text }: StoredPointer): Promise<void> {
    const { log, now } = this.#parts;
    const publication = { ...parsePointer(text), etag };
    const before = this.#taken;
    this.#taken = await takePublication(this.#parts, publication, before);
    const isTaken = this.#taken?.bundle === publication.digest;
    const isNew = isTaken ? this.#taken !== before : this.#answered?.etag !== etag;
    if (isNew)
      log(isTaken ? 'policy.taken' : 'policy.rejected', {
        published: publication.digest,
        inForce: this.policy?.digest,
      });
    this.#answered = { etag, until: isTaken ? Number.POSITIVE_INFINITY : this.#toRetry(now()) };
  }

  // Without a set nothing is allowed, so the next look tries again.
  #toRetry(now: Date): number {
    return now.getTime() + (this.#taken === undefined ? 0 : rejectedMilliseconds);
  }
}

/** Returns the set to go on with: the published one, or when that is rejected the last good one. */
async function takePublication(
  parts: FollowerParts,
  publication: Publication,
  taken: Taken | undefined,
): Promise<Taken | undefined> {
  if (publication.digest === taken?.bundle) return taken;
  const judged = await judge(parts, publication.digest);
  if (judged.outcome === 'faulty') {
    await recordRejected(parts, publication, judged.findings);
    return taken ?? (await restoreLast(parts, publication));
  }
  const { policy } = judged;
  // Before the swap, so that no decision names a set whose publication is not recorded. While the audit log is down
  // no ticket leaves and no session is ended: it is not the older set that holds a stricter one back.
  const previous = taken?.policy.digest;
  await recordPublished(parts, publication, { digest: policy.digest, previous });
  return { bundle: publication.digest, policy };
}

// A process that starts while a bad set is published decides as those do that have been running.
async function restoreLast(
  parts: FollowerParts,
  { digest }: Publication,
): Promise<Taken | undefined> {
  const bundle = await findLastBundle(parts);
  if (bundle === undefined || bundle === digest) return undefined;
  const judged = await judge(parts, bundle);
  return judged.outcome === 'sound' ? { bundle, policy: judged.policy } : undefined;
}

async function judge({ check, load, source }: FollowerParts, digest: string): Promise<Judged> {
  const files = readBundle(await source.readBundle(digest), digest);
  if (files === undefined) return { outcome: 'faulty', findings: [foreignContent] };
  const findings = await check(files);
  if (findings.length > 0) return { outcome: 'faulty', findings };
  return { outcome: 'sound', policy: load(files) };
}

const foreignContent: Finding = {
  file: '',
  line: 1,
  detail: 'The content of the bundle is not the one that its name says: publish it again.',
};
