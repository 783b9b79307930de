import { inject } from 'vitest';

/** How much a project spends on what can be repeated at will; `vitest.config.ts` says which spends what. */
type Effort = 'short' | 'full' | 'long';

declare module 'vitest' {
  interface ProvidedContext {
    readonly effort: Effort;
  }
}

/**
 * Returns how often to repeat: `short` while one works on the code, `full` for what a change must show before it is
 * taken, and `long` for a search that takes minutes.
 */
export function chooseRuns(runs: Readonly<Record<Effort, number>>): number {
  return runs[inject('effort')];
}
