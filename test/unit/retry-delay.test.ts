import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findRetryDelay, parseRetryAfter } from '../../lib/retry-delay.ts';

const now = new Date('2026-03-02T12:00:00Z');
const hour = 3_600_000;

describe('the wait after a failed attempt', () => {
  test.each([
    [1, 5_000],
    [2, 20_000],
    [3, 80_000],
    [6, 5_120_000],
    [7, 4 * hour],
    [40, 4 * hour],
  ])('is after attempt %d within a quarter of %d ms', (attempts, even) => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        const delay = findRetryDelay(id, attempts);

        expect(delay).toBeGreaterThanOrEqual(even * 0.75);
        expect(delay).toBeLessThanOrEqual(even * 1.25);
      }),
    );
  });

  test('parts what failed together', () => {
    const delays = Array.from({ length: 100 }, (_, i) => findRetryDelay(`n-${String(i)}`, 3));

    expect(new Set(delays).size).toBeGreaterThan(90);
  });

  test('leaves room for a dozen attempts in a day', () => {
    let passed = 0;
    let attempts = 1;
    for (; passed < 24 * hour; attempts += 1) passed += findRetryDelay('n-1', attempts);

    expect(attempts).toBeGreaterThanOrEqual(11);
  });
});

describe('parseRetryAfter', () => {
  test.each([
    ['120', 120_000],
    ['Mon, 02 Mar 2026 12:00:30 GMT', 30_000],
    ['999999999', 4 * hour],
    ['Tue, 03 Mar 2026 12:00:30 GMT', 4 * hour],
    ['0', undefined],
    ['-5', undefined],
    ['Mon, 02 Mar 2026 11:59:30 GMT', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('takes %j for %j', (text, milliseconds) => {
    expect(parseRetryAfter(text, now)).toBe(milliseconds);
  });
});
