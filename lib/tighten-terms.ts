import type { Terms } from './terms.ts';

/**
 * Returns terms under which a session respects two sets: of every limit the lower. What is no limit is as `now` has it,
 * or as `before` where `now` is silent. Networks cannot be merged into one list: whoever checks them checks both.
 */
export function tightenTerms(before: Terms, now: Terms): Terms {
  return {
    ...before,
    ...now,
    ...toLower('maxDurationSeconds', before, now),
    ...toLower('maxConnections', before, now),
    ...toLower('maxIdleSeconds', before, now),
    ...toLower('maxBytes', before, now),
  };
}

type Limit = 'maxDurationSeconds' | 'maxConnections' | 'maxIdleSeconds' | 'maxBytes';

function toLower(limit: Limit, before: Terms, now: Terms): Partial<Record<Limit, number>> {
  const lower = Math.min(before[limit] ?? Infinity, now[limit] ?? Infinity);
  return lower === Infinity ? {} : { [limit]: lower };
}
