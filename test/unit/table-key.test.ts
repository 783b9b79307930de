import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toEntity } from '../../lib/azure/table-entity.ts';
import { toKey } from '../../lib/table-key.ts';

// Texts that differ little, from an alphabet of what is special here, lone surrogates included.
const awkward = fc
  .array(
    fc.constantFrom(
      '=',
      'h',
      'd',
      '8',
      '0',
      '2',
      'F',
      '/',
      '\\',
      '#',
      '?',
      '|',
      '%',
      "'",
      ' ',
      'é',
      '\ufffd',
      '\ud800',
      '\udc00',
      '\u0000',
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));
const text = fc.oneof(awkward, fc.string({ unit: 'binary', maxLength: 300 }));

describe('toKey', () => {
  test.each([
    ['9b7b0000-0000-4000-8000-0000000000bb.ada', '9b7b0000-0000-4000-8000-0000000000bb.ada'],
    ['repo:acme/app@v1_2', 'repo:acme=2Fapp@v1_2'],
    ['a|b', 'a=7Cb'],
    ['a=b', 'a=3Db'],
    ['é', '=C3=A9'],
    ['\u{1F600}', '=F0=9F=98=80'],
    ['\ud800', '=d800'],
    ['', '='],
  ])('writes %j as %s', (given, key) => {
    expect(toKey(given)).toBe(key);
  });

  test('gives different keys to different texts', () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        expect(toKey(one) === toKey(other)).toBe(one === other);
      }),
      { numRuns: 500 },
    );
  });

  test('gives a key that a table takes, however long the text is', () => {
    fc.assert(
      fc.property(text, (given) => {
        const key = toKey(given);
        expect(key).toMatch(/^[\w.:@=-]{1,200}$/);
        expect(toEntity({ partition: `u|${key}`, row: key, values: {} }).rowKey).toBe(key);
      }),
    );
  });

  test('tells long texts apart that begin alike', () => {
    const [one, other] = [`${'x'.repeat(1000)}1`, `${'x'.repeat(1000)}2`].map(toKey);

    expect(one).not.toBe(other);
    expect(one).toMatch(/^=h[\w-]{43}$/);
  });
});
