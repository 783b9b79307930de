import { expect, test } from 'vitest';
import { explainDecision } from '../../lib/policy-explain.ts';
import { collectWords } from '../../lib/policy-explain-words.ts';
import { decisionInput } from '../support/policies.ts';

// The search holds up its process, and a decision by 1,000 policies takes several times as long as one by 30.
test.each([
  [0, 299],
  [100, 299],
  [300, 100],
  [1000, 60],
])('a deny by %i policies is explained in up to %i decisions', (count, most) => {
  const groups = Array.from({ length: 1000 }, (_, number) => `group-${number}`);
  const words = { ...collectWords([]), count, groups };
  let asked = 0;

  const { nearest } = explainDecision(
    () => {
      asked += 1;
      return false;
    },
    { outcome: 'deny', policies: [], advice: [], digest: 'test' },
    { input: decisionInput(), scope: { services: [], isReader: true }, words },
  );

  expect(nearest).toEqual([]);
  expect(asked).toBe(most);
});
