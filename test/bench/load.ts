/** What a number of equal calls took, and what they answered. */
export type Load<T> = {
  readonly perSecond: number;
  /** How long each call took. */
  readonly milliseconds: readonly number[];
  readonly answers: readonly T[];
};

/**
 * Makes `count` calls, `callers` of them at a time: each caller asks again once it has its answer (a closed loop).
 * Rejects with the first failure.
 */
export async function runLoad<T>(
  { callers, count }: { readonly callers: number; readonly count: number },
  call: (index: number) => Promise<T>,
): Promise<Load<T>> {
  const milliseconds: number[] = [];
  const answers: T[] = [];
  let next = 0;
  const askOn = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      const startedAt = performance.now();
      answers.push(await call(index));
      milliseconds.push(performance.now() - startedAt);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: callers }, askOn));
  const seconds = (performance.now() - startedAt) / 1000;
  return { perSecond: count / seconds, milliseconds, answers };
}
