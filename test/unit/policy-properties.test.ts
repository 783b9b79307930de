import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decision, DecisionInput, Policy } from '../../lib/decision.ts';
import { compareOffers } from '../../lib/policy-terms.ts';
import { chooseRuns } from '../support/effort.ts';
import { decisionInput, loadPolicyText, team } from '../support/policies.ts';

const otherTeam = '0c000000-0000-4000-8000-00000000000b';
const { subscription } = decisionInput().target;

/** A part of a policy that is about everything half of the time, so that policies meet. */
function mostly(broad: string, ...narrow: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(fc.constant(broad), fc.constantFrom(...narrow));
}

const body = fc
  .tuple(
    mostly(
      'principal',
      'principal is User',
      'principal is ServicePrincipal',
      `principal in Group::"${team}"`,
      `principal is User in Group::"${otherTeam}"`,
    ),
    mostly(
      'action',
      'action == Action::"connect.ssh"',
      'action in [Action::"connect.rdp", Action::"connect.tcp"]',
    ),
    mostly(
      'resource',
      `resource in Subscription::"${subscription}"`,
      `resource in ResourceGroup::"${subscription}/shop"`,
    ),
    mostly(
      'context.port > 0',
      'resource.hasTag("env") && resource.getTag("env") == "dev"',
      'resource.os == "windows" || resource.name like "web-*"',
      'context has reason',
      'context.port < 1024',
      'context.clock.hasTag("Asia/Tokyo") && context.clock.getTag("Asia/Tokyo").weekday < 6',
    ),
  )
  .map(
    ([principal, action, resource, condition]) =>
      `(${principal}, ${action}, ${resource}) when { ${condition} };`,
  );

const terms = fc
  .record(
    {
      max_duration: fc.constantFrom('5m', '1h', '8h'),
      max_connections: fc.constantFrom('1', '4', '10'),
      max_idle: fc.constantFrom('1m', '15m', '2h'),
      max_bytes: fc.constantFrom('1MiB', '2GiB'),
      require_reason: fc.constantFrom('*', 'INC*'),
      require_approval: fc.constantFrom('ops', '2 of ops'),
    },
    { requiredKeys: [] },
  )
  .map((values) =>
    Object.entries(values)
      .map(([key, value]) => `@${key}("${value}")`)
      .join(' '),
  );

const permit = fc.tuple(terms, body).map(([annotations, rest]) => `${annotations} permit ${rest}`);
const policies = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: permit },
    { weight: 1, arbitrary: body.map((rest) => `forbid ${rest}`) },
  ),
  {
    maxLength: 5,
  },
);

const input: fc.Arbitrary<DecisionInput> = fc
  .record({
    kind: fc.constantFrom<'person' | 'workload'>('person', 'workload'),
    groups: fc.subarray([team, otherTeam]),
    os: fc.constantFrom<'linux' | 'windows'>('linux', 'windows'),
    tags: fc.constantFrom<Readonly<Record<string, string>>>({}, { env: 'dev' }, { env: 'prod' }),
    action: fc.constantFrom<DecisionInput['action']>('connect.ssh', 'connect.rdp', 'connect.tcp'),
    port: fc.constantFrom(22, 3389),
    reason: fc.constantFrom({}, { reason: 'x' }),
    now: fc.integer({ min: 1_700_000_000, max: 1_800_000_000 }),
  })
  .map(({ kind, groups, os, tags, action, port, reason, now }) =>
    decisionInput({
      caller: { kind, groups },
      target: { os, tags },
      action,
      context: { port, now, ...reason },
    }),
  );

// Loading a set costs more than a decision: each set is asked several times.
const inputs = fc.array(input, { minLength: 8, maxLength: 8 });
const runs = { numRuns: chooseRuns({ short: 8, full: 100, long: 5000 }) };

function loadSet(texts: readonly string[]): Policy {
  return loadPolicyText(texts.map((text, index) => `@id("p${index}") ${text}`).join('\n'));
}

/** How many things the caller has to mend, and how many are missing in all. */
function countNeeds(decision: Decision): readonly [number, number] {
  const needs = decision.outcome === 'needs' ? decision.needs : [];
  return [needs.filter(({ kind }) => kind !== 'approval').length, needs.length];
}

/** Says whether the second decision gives at least what the first gives: needs count before terms. */
function isAtLeast(before: Decision, after: Decision): boolean {
  if (before.outcome === 'deny') return true;
  if (after.outcome === 'deny') return false;
  const [own, all] = countNeeds(before);
  const [ownThen, allThen] = countNeeds(after);
  if (ownThen !== own) return ownThen < own;
  if (allThen !== all) return allThen < all;
  const toOffer = (id: string, { terms }: typeof before) => ({
    id,
    effect: 'permit' as const,
    terms,
  });
  return compareOffers(toOffer('a', after), toOffer('b', before)) < 0;
}

describe('any policy set', () => {
  test('forbids what an added forbid is about', () => {
    fc.assert(
      fc.property(policies, inputs, (texts, questions) => {
        const policy = loadSet([...texts, 'forbid (principal, action, resource);']);

        for (const decision of questions.map(policy.decide)) {
          expect(decision.outcome).toBe('deny');
          expect(decision.policies).toContain(`p${texts.length}`);
        }
      }),
      runs,
    );
  });

  test('gives no less when a permit is added', () => {
    fc.assert(
      fc.property(policies, permit, inputs, (texts, added, questions) => {
        const before = loadSet(texts);
        const after = loadSet([...texts, added]);

        for (const question of questions)
          expect(isAtLeast(before.decide(question), after.decide(question))).toBe(true);
      }),
      runs,
    );
  });

  test('allows what the permit that it names first allows alone, and on its terms', () => {
    fc.assert(
      fc.property(policies, inputs, (texts, questions) => {
        const policy = loadSet(texts);
        const alone = texts.map((text) => loadSet([text]));

        for (const question of questions) {
          const decision = policy.decide(question);
          if (decision.outcome === 'deny') continue;
          const best = alone[Number(decision.policies[0]?.slice(1))]?.decide(question);
          expect(best).toMatchObject({ outcome: decision.outcome, terms: decision.terms });
        }
      }),
      runs,
    );
  });

  test('decides alike in any letter case of the ids, names and tag names of a request', () => {
    fc.assert(
      fc.property(policies, inputs, fc.infiniteStream(fc.boolean()), (texts, questions, bits) => {
        const policy = loadSet(texts);
        const shout = (letters: string): string =>
          letters.replaceAll(/[a-z]/g, (letter) =>
            bits.next().value === true ? letter.toUpperCase() : letter,
          );

        for (const question of questions)
          expect(policy.decide(changeIds(question, shout))).toEqual(policy.decide(question));
      }),
      runs,
    );
  });
});

function changeIds(
  { caller, target, ...rest }: DecisionInput,
  change: (text: string) => string,
): DecisionInput {
  const tags = Object.entries(target.tags).map(([name, value]) => [change(name), value] as const);
  return {
    ...rest,
    caller: { ...caller, id: change(caller.id), groups: caller.groups.map(change) },
    target: {
      ...target,
      id: change(target.id),
      name: change(target.name),
      subscription: change(target.subscription),
      resourceGroup: change(target.resourceGroup),
      tags: Object.fromEntries(tags),
    },
  };
}

describe('any input', () => {
  const policy = loadPolicyText(`
    @id("anyone") permit (principal, action, resource);
    @id("closed") forbid (principal, action, resource) when { resource.hasTag("closed") };`);

  // What comes here has a type, but a guard that throws would be an outage for everyone.
  test('gets a decision, never an exception', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        // @ts-expect-error anything may come
        expect(policy.decide(value).outcome).toBe('deny');
      }),
      { numRuns: chooseRuns({ short: 30, full: 100, long: 10_000 }) },
    );
  });

  test('gets a decision when one member of it is anything', () => {
    const question = decisionInput({ context: { reason: 'x', change: 'y', sourceIp: '10.0.0.1' } });
    const sections = ['caller', 'target', 'context'] as const;
    const place = fc
      .constantFrom(...sections)
      .chain((section) =>
        fc.tuple(fc.constant(section), fc.constantFrom(...Object.keys(question[section]))),
      );

    fc.assert(
      fc.property(place, fc.jsonValue(), ([section, member], value) => {
        const changed = { ...question, [section]: { ...question[section], [member]: value } };

        expect(['allow', 'deny']).toContain(policy.decide(changed).outcome);
      }),
      { numRuns: chooseRuns({ short: 60, full: 200, long: 10_000 }) },
    );
  });
});
