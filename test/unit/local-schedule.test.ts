import { describe, expect, test } from 'vitest';
import { findNextRun, parseSchedule } from '../../local/schedule.ts';

function nextRun(expression: string, after: string): string {
  return findNextRun(parseSchedule(expression), new Date(after)).toISOString();
}

describe('findNextRun', () => {
  test.each([
    ['*/5 * * * * *', '2026-01-05T12:00:00.000Z', '2026-01-05T12:00:05.000Z'],
    ['*/5 * * * * *', '2026-01-05T12:00:04.999Z', '2026-01-05T12:00:05.000Z'],
    ['0 */15 * * * *', '2026-01-05T12:59:59.000Z', '2026-01-05T13:00:00.000Z'],
    ['0 10/20 * * * *', '2026-01-05T12:31:00.000Z', '2026-01-05T12:50:00.000Z'],
    ['30 1,31 * * * *', '2026-01-05T12:02:00.000Z', '2026-01-05T12:31:30.000Z'],
    ['0 0 9-17/4 * * *', '2026-01-05T17:00:00.000Z', '2026-01-06T09:00:00.000Z'],
    ['0 0 0 * * 1', '2026-01-05T00:00:00.000Z', '2026-01-12T00:00:00.000Z'],
    ['59 59 23 31 12 *', '2026-12-31T23:59:59.000Z', '2027-12-31T23:59:59.000Z'],
    ['0 0 0 29 2 *', '2026-01-01T00:00:00.000Z', '2028-02-29T00:00:00.000Z'],
  ])('runs "%s" after %s at %s', (expression, after, expected) => {
    expect(nextRun(expression, after)).toBe(expected);
  });

  test('fails for a day that never comes instead of searching for ever', () => {
    expect(() => nextRun('0 0 0 30 2 *', '2026-01-01T00:00:00Z')).toThrow('never comes');
  });
});

describe('parseSchedule', () => {
  test.each([
    ['*/5 * * * *', 'has 5 fields instead of six'],
    ['60 * * * * *', '"60"'],
    ['* * * 0 * *', '"0"'],
    ['*/0 * * * * *', '"*/0"'],
    ['* * * * JAN *', '"JAN"'],
    ['%SCHEDULE%', 'has 1 fields'],
    ['1,,2 * * * * *', '""'],
    ['-1 * * * * *', '"-1"'],
  ])('refuses "%s" and says why', (expression, reason) => {
    expect(() => parseSchedule(expression)).toThrow(reason);
  });
});
