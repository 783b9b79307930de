import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decision, DecisionInput } from '../../lib/decision.ts';
import { decideJointly } from '../../lib/joint-decision.ts';
import type { Terms } from '../../lib/terms.ts';
import { chooseRuns } from '../support/effort.ts';
import { decisionInput } from '../support/policies.ts';

/** A workload asks in the name of a person, within limits. */
function toInput(terms: Terms): DecisionInput {
  const { caller, ...input } = decisionInput();
  const id = 'de1e0000-0000-4000-8000-000000000001';
  return {
    ...input,
    caller: { ...caller, kind: 'workload' },
    onBehalfOf: { ...caller, kind: 'person' },
    delegation: { id, terms, expiresAt: input.context.now + 60 },
  };
}

describe('any two decisions', () => {
  const policies = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'));
  const terms = fc.record(
    {
      maxDurationSeconds: fc.integer({ min: 1, max: 9 }),
      maxBytes: fc.integer({ min: 1, max: 9 }),
      sourceNetworks: fc.subarray(['10.0.0.0/8', '10.1.0.0/16', '8.0.0.0/8'], { minLength: 1 }),
    },
    { requiredKeys: [] },
  );
  const need = fc.oneof(
    fc.record({ kind: fc.constant('acr' as const), acr: fc.constantFrom('c1', 'c2') }),
    fc.record({
      kind: fc.constant('approval' as const),
      group: fc.constantFrom('ops', 'sre'),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  );
  const digest = fc.constant('set');
  const decision: fc.Arbitrary<Decision> = fc.oneof(
    fc.record({ outcome: fc.constant('allow' as const), policies, digest, terms }),
    fc.record({
      outcome: fc.constant('needs' as const),
      policies,
      digest,
      terms,
      needs: fc.array(need, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({
      outcome: fc.constant('deny' as const),
      policies,
      digest,
      advice: fc.array(fc.constantFrom('x', 'y')),
    }),
  );
  const rank = { deny: 0, needs: 1, allow: 2 } as const;

  /** Whether `less` asks for all that `more` asks for. */
  const asksForAll = (less: Decision, more: Decision): boolean => {
    if (less.outcome === 'deny' || more.outcome !== 'needs') return true;
    const own = less.outcome === 'needs' ? less.needs : [];
    return more.needs.every((wanted) =>
      own.some((one) =>
        one.kind === 'approval' && wanted.kind === 'approval'
          ? one.group === wanted.group && wanted.count <= one.count
          : one.kind === 'acr' && wanted.kind === 'acr' && one.acr === wanted.acr,
      ),
    );
  };

  test('make one that is never more than either alone, nor than the delegation', () => {
    fc.assert(
      fc.property(decision, decision, terms, (own, person, limits) => {
        const input = toInput(limits);
        const joint = decideJointly(
          ({ caller }) => (caller.kind === 'workload' ? own : person),
          input,
        );
        expect(rank[joint.outcome]).toBeLessThanOrEqual(
          Math.min(rank[own.outcome], rank[person.outcome]),
        );
        for (const side of [own, person]) {
          expect(asksForAll(joint, side)).toBe(true);
          if (joint.outcome === 'deny' || side.outcome === 'deny') continue;
          for (const limit of ['maxDurationSeconds', 'maxBytes'] as const)
            for (const set of [side.terms, limits])
              expect(joint.terms[limit] ?? Infinity).toBeLessThanOrEqual(set[limit] ?? Infinity);
        }
      }),
      { numRuns: chooseRuns({ short: 200, full: 1000, long: 20_000 }) },
    );
  });
});
