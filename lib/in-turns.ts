const atOnce = 8;

/**
 * Does the work for each item, for a few at once, and returns the results in the order of the items. Fails with the first
 * failure, once nothing is under way any more.
 */
export async function inTurns<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const left = items.entries();
  const results = new Map<number, R>();
  const workers = Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    for (const [place, item] of left) results.set(place, await work(item));
  });
  const outcomes = await Promise.allSettled(workers);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return [...results].sort(([one], [other]) => one - other).map(([, result]) => result);
}
