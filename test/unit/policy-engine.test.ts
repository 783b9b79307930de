import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../lib/decision.ts';
import { type Cedar, createPolicyEngine, loadCedar } from '../../lib/policy-engine.ts';
import { decisionInput, loadPolicyText } from '../support/policies.ts';

const anyone = '@id("anyone") permit (principal, action, resource);';

/** An engine that counts the instances it has made, and the ids under which each was given sets. */
function countingEngine(change: (cedar: Cedar) => Cedar = (cedar) => cedar) {
  const instances: Cedar[] = [];
  const ids: string[] = [];
  const engine = createPolicyEngine(() => {
    const cedar = loadCedar();
    instances.push(cedar);
    return change({
      ...cedar,
      preparsePolicySet: (id, set) => {
        ids.push(id);
        return cedar.preparsePolicySet(id, set);
      },
    });
  });
  return { engine, instances, ids };
}

describe('the engine', () => {
  // A person may be in hundreds: only those that a policy names can matter.
  test('is told the groups of the caller that a policy names, and no others', () => {
    const told: unknown[] = [];
    const { engine } = countingEngine((cedar) => ({
      ...cedar,
      statefulIsAuthorized: (call) => {
        told.push(...call.entities.map(({ uid }) => uid).filter(isGroup));
        return cedar.statefulIsAuthorized(call);
      },
    }));
    const text = `${anyone} @id("b") forbid (principal in Group::"b", action, resource);`;
    const policy = loadPolicyText(text, { with: engine });

    expect(policy.decide(decisionInput({ caller: { groups: ['a', 'B', 'b'] } }))).toMatchObject({
      policies: ['b'],
    });
    expect(told).toEqual([{ type: 'Group', id: 'b' }]);
  });

  // Cedar throws on one, and whatever is thrown costs the instance.
  test('takes a lone surrogate anywhere without breaking Cedar', () => {
    const { engine, instances } = countingEngine();
    const policy = loadPolicyText(anyone, { with: engine });
    const lone = 'a\uD800';
    const inputs: readonly DecisionInput[] = [
      ...(['id', 'app', 'issuer'] as const).map((name) =>
        decisionInput({ caller: { [name]: lone } }),
      ),
      ...(['groups', 'acrs'] as const).map((name) => decisionInput({ caller: { [name]: [lone] } })),
      ...(['id', 'name', 'subscription', 'resourceGroup'] as const).map((name) =>
        decisionInput({ target: { [name]: lone } }),
      ),
      decisionInput({ target: { tags: { [lone]: 'x', x: lone } } }),
      decisionInput({ context: { reason: lone, change: lone } }),
    ];

    expect(inputs.map((input) => policy.decide(input).outcome)).toEqual(inputs.map(() => 'allow'));
    expect(instances).toHaveLength(1);
  });

  // A set of 200 nested brackets leaves WebAssembly unusable for good.
  test('decides on after Cedar broke down', () => {
    const { engine, instances } = countingEngine();
    const policy = loadPolicyText(anyone, { with: engine });
    const bomb = `permit (principal, action, resource) when { ${'('.repeat(200)}true${')'.repeat(200)} };`;

    expect(policy.decide(decisionInput()).outcome).toBe('allow');
    expect(() => engine.call((cedar) => cedar.policySetTextToParts(bomb))).toThrow(/out of bounds/);
    expect(() => instances[0]?.policySetTextToParts(anyone)).toThrow(/out of bounds/);
    expect(policy.decide(decisionInput()).outcome).toBe('allow');
    expect(instances).toHaveLength(2);
  });

  test('denies the decision in which Cedar breaks down, says so in the log, and allows the next', () => {
    let isBroken = false;
    const { engine } = countingEngine((cedar) => ({
      ...cedar,
      statefulIsAuthorized: (call) => {
        if (isBroken) {
          isBroken = false;
          throw new Error('unreachable');
        }
        return cedar.statefulIsAuthorized(call);
      },
    }));
    const events: string[] = [];
    const policy = loadPolicyText(anyone, { with: engine, log: (event) => events.push(event) });
    isBroken = true;

    expect(policy.decide(decisionInput())).toMatchObject({ outcome: 'deny', policies: [] });
    expect(events).toEqual(['policy.failed']);
    expect(policy.decide(decisionInput()).outcome).toBe('allow');
  });

  // Nothing frees a set: an id of its own for each would fill the memory with every reload.
  test('keeps four sets and no more, and every policy decides by its own', () => {
    const { engine, ids } = countingEngine();
    const policies = [1, 2, 3, 4, 5].map((port) =>
      loadPolicyText(
        `@id("p${port}") permit (principal, action, resource) when { context.port == ${port} };`,
        { with: engine },
      ),
    );
    const decide = (port: number): readonly string[] | undefined =>
      policies[port - 1]?.decide(decisionInput({ context: { port } })).policies;

    for (const port of [1, 2, 3, 4, 1, 2, 3, 4, 5, 4, 3, 2, 5, 1, 1, 5])
      expect(decide(port)).toEqual([`p${port}`]);
    expect(ids).toEqual(['a', 'b', 'c', 'd', 'a', 'b']);
  });
});

function isGroup(uid: object): boolean {
  return 'type' in uid && uid.type === 'Group';
}
