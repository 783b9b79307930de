import { describe, expect, test } from 'vitest';
import { findZoneClock } from '../../lib/policy-clock.ts';

describe('findZoneClock', () => {
  test.each([
    ['UTC', '2025-01-13T00:00:00Z', 1, 0],
    ['UTC', '2025-01-19T23:59:59Z', 7, 1439],
    ['Europe/Berlin', '2025-01-19T23:00:00Z', 1, 0],
    ['Europe/Berlin', '2025-03-30T00:59:59Z', 7, 119],
    ['Europe/Berlin', '2025-03-30T01:00:00Z', 7, 180],
    ['Asia/Kolkata', '2025-01-15T18:30:00Z', 4, 0],
    ['America/New_York', '2025-01-15T04:59:00Z', 2, 1439],
  ])('knows the time in %s at %s', (zone, time, weekday, minuteOfDay) => {
    expect(findZoneClock(zone)?.(new Date(time))).toEqual({ weekday, minuteOfDay });
  });

  test.each(['Europe/Berln', '', 'CEST+2', '__proto__'])('knows no zone "%s"', (zone) => {
    expect(findZoneClock(zone)).toBeUndefined();
  });

  test('fails on a time that is none', () => {
    expect(() => findZoneClock('UTC')?.(new Date(Number.NaN))).toThrow(RangeError);
  });
});
