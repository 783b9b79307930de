import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLike } from '../../lib/like.ts';
import { describeNeed, findNeeds } from '../../lib/need.ts';
import { decisionInput } from '../support/policies.ts';

describe('isLike', () => {
  test('agrees with the regular expression that means the same, for any text and pattern', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 12 });
    fc.assert(
      fc.property(letters, letters, (text, pattern) => {
        const parts = pattern.split('*').map((part) => part.replaceAll('.', '\\.'));
        const expected = new RegExp(`^${parts.join('.*')}$`, 's').test(text);
        expect(isLike(text, pattern)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  // A pattern of an operator meets the text of a caller.
  test('comes to an end with a pattern that would make a regular expression run away', () => {
    expect(isLike('a'.repeat(500), `${'*a'.repeat(100)}*b`)).toBe(false);
  });
});

describe('findNeeds', () => {
  const approval = { group: 'ops', count: 2 };
  const vote = (by: string, group = 'ops') => ({ by, group });

  test('needs nothing for terms that only limit', () => {
    const terms = { maxDurationSeconds: 60, maxBytes: 1, sourceNetworks: ['10.0.0.0/8'] };

    expect(findNeeds(terms, decisionInput())).toEqual([]);
  });

  test.each([
    ['nobody', []],
    ['too few', [vote('ada')]],
    ['one person twice', [vote('ada'), vote('ada')]],
    ['members of another group', [vote('ada', 'dev'), vote('grace', 'dev')]],
  ])('needs the approval when it comes from %s', (_who, approvals) => {
    expect(findNeeds({ approval }, decisionInput({ context: { approvals } }))).toEqual([
      { kind: 'approval', group: 'ops', count: 2 },
    ]);
  });

  test('needs no approval that enough members have given', () => {
    const approvals = [vote('ada'), vote('grace')];

    expect(findNeeds({ approval }, decisionInput({ context: { approvals } }))).toEqual([]);
  });

  test.each([
    ['acr', { acr: 'c2' }, {}],
    ['reason', { reasonPattern: 'INC*' }, { reason: 'because' }],
    ['reason', { reasonPattern: '*' }, {}],
    ['change', { changePattern: 'CHG*' }, { change: 'chg1' }],
  ])('needs the %s of %j with %j', (kind, terms, context) => {
    const needs = findNeeds(terms, decisionInput({ context }));

    expect(needs).toMatchObject([{ kind }]);
    expect(needs.map(describeNeed)).toEqual([expect.stringMatching(/^[A-Z].*\.$/)]);
  });

  test('needs nothing that the caller has given', () => {
    const terms = { acr: 'c1', reasonPattern: 'INC*', changePattern: '*' };

    expect(findNeeds(terms, decisionInput({ context: { reason: 'INC-1', change: 'x' } }))).toEqual(
      [],
    );
  });
});
