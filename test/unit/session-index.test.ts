import { describe, expect, test } from 'vitest';
import { toNewestFirst, toOldestFirst } from '../../lib/session-index.ts';

const times = [
  '-000100-01-01T00:00:00Z',
  '1969-12-31T23:59:59.999Z',
  '1970-01-01T00:00:00Z',
  '1970-01-01T00:00:00.001Z',
  '2001-09-09T01:46:40Z',
  '2026-03-02T12:00:00Z',
  '2286-11-20T17:46:39.999Z',
  '2286-11-20T17:46:40Z',
  '+275760-09-13T00:00:00Z',
].map((text) => new Date(text));

// Row keys are compared as text, so one of another length would sort anywhere.
describe.each([
  ['toOldestFirst', toOldestFirst],
  ['toNewestFirst', toNewestFirst],
])('%s', (_name, toKey) => {
  test.each(times)('writes %s with 13 digits', (time) => {
    expect(toKey(time)).toMatch(/^\d{13}$/);
  });
});

describe('the keys of times', () => {
  test('sort as the times do, and the other way round', () => {
    const oldest = times.map(toOldestFirst);
    const newest = times.map(toNewestFirst);

    expect(oldest.toSorted()).toEqual(oldest);
    expect(newest.toSorted()).toEqual(newest.toReversed());
  });

  test('tell two milliseconds of our days apart', () => {
    const [one, next] = [new Date(1_772_452_800_000), new Date(1_772_452_800_001)];

    expect(toOldestFirst(one) < toOldestFirst(next)).toBe(true);
    expect(toNewestFirst(next) < toNewestFirst(one)).toBe(true);
  });
});
