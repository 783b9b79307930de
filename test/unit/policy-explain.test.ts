import { expect, test } from 'vitest';
import { explainDecision } from '../../lib/policy-explain.ts';
import { collectWords } from '../../lib/policy-explain-words.ts';
import { decisionInput, loadPolicyText } from '../support/policies.ts';

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

const services = [{ protocol: 'ssh', port: 2222 }] as const;

// Every change that is told must have been decided on as the request would be.
test('a deny for want of an offer of the profile is not blamed on the port', () => {
  const policy = loadPolicyText(
    '@id("free") @profile("usual") permit (principal, action, resource) when { context.port > 0 };',
  );
  const input = decisionInput({ context: { profile: 'strict' } });

  expect(policy.explain?.(input, { services, isReader: true })).toMatchObject({
    decision: { outcome: 'deny' },
    nearest: [],
  });
});

test('an allow ends when all that is left needs an approval', () => {
  const policy = loadPolicyText(`
    @id("day") permit (principal, action, resource)
    when { context.now < datetime("2026-03-02T17:00:00Z") };
    @id("night") @require_approval("ops") permit (principal, action, resource);
  `);
  const now = Date.parse('2026-03-02T12:00:00Z') / 1000;
  const input = decisionInput({ context: { now } });

  expect(policy.explain?.(input, { services: [], isReader: false })).toMatchObject({
    decision: { outcome: 'allow' },
    endsAt: Date.parse('2026-03-02T17:00:00Z') / 1000,
  });
});
