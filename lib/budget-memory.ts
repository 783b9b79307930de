import { isWithinMinute } from './budget-bucket.ts';

/** Until when each bucket is known to be empty: a flood then costs its process a look into a map. */
export type BudgetMemory = {
  /** Returns until when (milliseconds since 1970) the bucket is empty; undefined when that is over or not known. */
  readonly find: (bucket: string) => number | undefined;
  /** Remembers until when the bucket is empty, and tells whether it is for the first time within a minute. */
  readonly remember: (bucket: string, until: number) => boolean;
};

type Refusal = { readonly at: number; readonly until: number; readonly toldAt: number };

// About 2 MB. The one that was refused least recently goes, at the price of one read when it comes back.
const maxRefusals = 10_000;

/** Opens the memory of a process, with room for the 10,000 buckets that were empty last. */
export function createBudgetMemory(now: () => Date): BudgetMemory {
  const refusals = new Map<string, Refusal>();
  const put = (bucket: string, refusal: Refusal): void => {
    refusals.delete(bucket);
    refusals.set(bucket, refusal);
    const [oldest] = refusals.keys();
    if (maxRefusals < refusals.size && oldest !== undefined) refusals.delete(oldest);
  };
  return {
    find: (bucket) => {
      const refusal = refusals.get(bucket);
      const time = now().getTime();
      // Before its own beginning: the clock went back, and the end is who knows when.
      if (refusal === undefined || time < refusal.at || refusal.until <= time) return undefined;
      put(bucket, refusal);
      return refusal.until;
    },
    remember: (bucket, until) => {
      const at = now().getTime();
      const toldAt = refusals.get(bucket)?.toldAt ?? 0;
      const isFirst = !isWithinMinute(toldAt, at);
      put(bucket, { at, until, toldAt: isFirst ? at : toldAt });
      return isFirst;
    },
  };
}
