import { expect, test } from 'vitest';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import { decisionInput, loadPolicyText } from '../support/policies.ts';

const rounds = 3000;

// Cedar has no call that frees a set, so a broker that is told of a new one every day must put it where an old one was.
test('3,000 sets that follow each other take no more memory than the first ones', () => {
  const engine = createPolicyEngine();
  const input = decisionInput();
  let after: number | undefined;
  for (let round = 0; round < rounds; round += 1) {
    const policy = loadPolicyText(
      Array.from(
        { length: 30 },
        (_, number) =>
          `@id("p${number}") permit (principal, action, resource) when { resource.name == "${round}-${number}" || ${number} == 0 };`,
      ).join('\n'),
      { with: engine },
    );
    expect(policy.decide(input)).toMatchObject({ outcome: 'allow', policies: ['p0'] });
    if (round === rounds / 10) after = process.memoryUsage().rss;
  }

  const growth = process.memoryUsage().rss - (after ?? 0);

  expect(growth).toBeLessThan(64 * 2 ** 20);
});
