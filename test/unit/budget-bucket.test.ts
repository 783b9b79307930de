import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Bucket } from '../../lib/budget-bucket.ts';
import { drawTokens } from '../../lib/budget-bucket.ts';

const noon = new Date('2026-03-02T12:00:00Z').getTime();

/** Draws at each time, and returns how many tokens were given each time. */
function drawAll(
  draws: readonly { readonly at: number; readonly count: number }[],
  perMinute: number,
): readonly number[] {
  let bucket: Bucket | undefined;
  return draws.map(({ at, count }) => {
    const draw = drawTokens(bucket, count, perMinute, new Date(at));
    ({ bucket } = draw);
    return draw.admitted;
  });
}

/** Draws from a full bucket until it is empty. */
function empty(at: number, perMinute: number): Bucket {
  return drawTokens(undefined, perMinute, perMinute, new Date(at)).bucket;
}

const budgets = fc.integer({ min: 1, max: 60_000 });

const steps = fc.array(
  fc.record({ pause: fc.integer({ min: 0, max: 90_000 }), count: fc.integer({ min: 1, max: 80 }) }),
  { minLength: 1, maxLength: 40 },
);

describe('drawTokens', () => {
  test('never admits more in any stretch of time than what fits in and what flows back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), steps, (perMinute, pauses) => {
        let at = noon;
        const draws = pauses.map(({ pause, count }) => ({ at: (at += pause), count }));
        const admitted = drawAll(draws, perMinute);
        for (let from = 0; from < draws.length; from += 1) {
          let sum = 0;
          for (let to = from; to < draws.length; to += 1) {
            sum += admitted[to] ?? 0;
            const milliseconds = (draws[to]?.at ?? 0) - (draws[from]?.at ?? 0);
            expect(sum).toBeLessThanOrEqual(perMinute + (milliseconds * perMinute) / 60_000);
          }
        }
      }),
    );
  });

  test('gives the whole budget at once, and no token more', () => {
    fc.assert(
      fc.property(budgets, (perMinute) => {
        expect(drawTokens(undefined, 60_001, perMinute, new Date(noon)).admitted).toBe(perMinute);
      }),
    );
  });

  test('says exactly when the next token is there', () => {
    fc.assert(
      fc.property(budgets, fc.integer({ min: 0, max: 500 }), (perMinute, wait) => {
        const { admitted, bucket, nextAt } = drawTokens(
          empty(noon, perMinute),
          1000,
          perMinute,
          new Date(noon + wait),
        );
        expect(drawAllOnce(bucket, perMinute, nextAt - 1)).toBe(0);
        expect(drawAllOnce(bucket, perMinute, nextAt)).toBe(1);
        expect(admitted).toBe(Math.floor(wait / Math.ceil(60_000 / perMinute)));
      }),
    );
  });

  test('is full again after a minute, and not fuller after a year', () => {
    const bucket = empty(noon, 30);

    expect(drawAllOnce(bucket, 30, noon + 60_000)).toBe(30);
    expect(drawAllOnce(bucket, 30, noon + 31_536_000_000)).toBe(30);
  });

  test('is one budget for brokers whose clocks are 20 s apart, whichever draws first', () => {
    const [behind, ahead] = [noon, noon + 20_000];
    const draws = Array.from({ length: 50 }, (_, i) => ({
      at: i % 2 === 0 ? ahead : behind,
      count: 10,
    }));

    expect(drawAll(draws, 30).reduce((sum, count) => sum + count)).toBe(30);
  });

  test.each([1000, 29_000, 31_000, 3_600_000, 31_536_000_000])(
    'keeps a caller waiting for at most 32 s when the clock goes back by %i ms',
    (back) => {
      const bucket = empty(noon, 30);
      const then = noon - back;
      const { nextAt } = drawTokens(bucket, 1, 30, new Date(then));

      expect(nextAt - then).toBeLessThanOrEqual(32_000);
      expect(drawTokens(bucket, 100, 30, new Date(then)).admitted).toBeLessThanOrEqual(1);
    },
  );

  test('tells the first refusal of each minute, and no other', () => {
    let bucket: Bucket | undefined = empty(noon, 30);
    const told: number[] = [];
    for (let second = 0; second < 150; second += 1) {
      const draw = drawTokens(bucket, 10, 30, new Date(noon + second * 1000));
      ({ bucket } = draw);
      if (draw.isFirstRefusal) told.push(second);
    }

    expect(told).toEqual([0, 60, 120]);
  });
});

function drawAllOnce(bucket: Bucket, perMinute: number, at: number): number {
  return drawTokens(bucket, 60_000, perMinute, new Date(at)).admitted;
}
