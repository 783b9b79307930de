import type { Seal } from './audit-verify-chain.ts';
import type { ChainHead, Checkpoint } from './checkpoint.ts';

/** How many entries a checkpoint seals that those before it did not, at least and at most. */
export type Growth = { readonly least: number; readonly most: number };

/**
 * What the checkpoints so far have sealed of each chain: every place for the chains that matter, for others the last.
 * What it holds grows with the number of heads, and not with that of entries.
 */
export class CheckpointHeads {
  readonly #matters: (chain: string) => boolean;
  readonly #seals = new Map<string, Seal[]>();
  readonly #pruned = new Map<string, ChainHead>();

  constructor(matters: (chain: string) => boolean) {
    this.#matters = matters;
  }

  /** Takes the heads of the next checkpoint, and returns how much it seals or what is wrong with them. */
  take({ n, heads, pruned = [] }: Checkpoint): Growth | string {
    if (!areOrdered(heads) || !areOrdered(pruned)) return 'has its heads in disorder';
    let least = 0;
    let most = 0;
    for (const head of heads) {
      const last = this.findLast(head.chain);
      const fault = findFault(head, last);
      if (fault !== undefined) return `${fault} chain ${head.chain}`;
      const growth = head.seq - (last?.sequence ?? 0);
      most += growth;
      least += this.#isKnown(n, head.chain) ? growth : 1;
      this.#add(n, head);
    }
    const strange = pruned.find((head) => !this.#prune(head));
    return strange === undefined
      ? { least, most }
      : `prunes what was not sealed of chain ${strange.chain}`;
  }

  /** Returns the places of a chain that are sealed, in order. */
  findSeals(chain: string): readonly Seal[] {
    return this.#seals.get(chain) ?? [];
  }

  findLast(chain: string): Seal | undefined {
    return this.#seals.get(chain)?.at(-1);
  }

  /** Returns the end of a chain that was to be removed. */
  findPruned(chain: string): ChainHead | undefined {
    return this.#pruned.get(chain);
  }

  /** Returns the chains that matter and of which something is sealed. */
  list(): readonly string[] {
    return [...this.#seals.keys()].filter(this.#matters).toSorted();
  }

  // Where an earlier checkpoint is not at hand, neither is how much of the chain was sealed by then.
  #isKnown(n: number, chain: string): boolean {
    return n === 1 || this.#seals.has(chain) || this.#matters(chain);
  }

  #add(n: number, { chain, seq, hash, closed }: ChainHead): void {
    const seal = { n, sequence: seq, hash, closed };
    const seals = this.#seals.get(chain);
    if (seals !== undefined && this.#matters(chain)) seals.push(seal);
    else this.#seals.set(chain, [seal]);
  }

  #prune(head: ChainHead): boolean {
    const last = this.findLast(head.chain);
    this.#pruned.set(head.chain, head);
    if (last === undefined) return !this.#matters(head.chain);
    return last.sequence === head.seq && last.hash === head.hash;
  }
}

function findFault({ seq, hash }: ChainHead, last: Seal | undefined): string | undefined {
  if (last === undefined) return undefined;
  if (seq === last.sequence && hash !== last.hash)
    return `names another hash than checkpoint ${last.n} for entry ${seq} of`;
  if (seq <= last.sequence) return `goes behind checkpoint ${last.n} in`;
  return last.closed
    ? `seals more, beyond the end that checkpoint ${last.n} sealed, of`
    : undefined;
}

function areOrdered(heads: readonly ChainHead[]): boolean {
  return heads.every(({ chain }, index) => index === 0 || (heads[index - 1]?.chain ?? '') < chain);
}
