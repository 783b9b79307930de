import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../lib/decision.ts';
import { chooseRuns } from '../support/effort.ts';
import { decisionInput, loadPolicyText, team } from '../support/policies.ts';
import { vm } from '../support/test-broker.ts';

const otherTeam = '0c000000-0000-4000-8000-00000000000b';

const timeless = `
  @id("team") permit (principal in Group::"${team}", action == Action::"connect.ssh", resource)
  when { resource.hasTag("env") && context.durationSeconds <= 7200 && context.port == 22 };
  @id("desk") @require_reason("*") @require_approval("ops")
  permit (principal in Group::"${team}", action == Action::"connect.rdp", resource);
  @id("prod") forbid (principal, action, resource)
  when { resource.hasTag("env") && resource.getTag("env") == "prod" } unless { context has reason };
  @id("bank") @advice("Give a change reference.") forbid (principal, action, resource)
  when { resource.hasTag("env") && resource.getTag("env") == "bank" }
  unless { context has change && context.change like "CHG*" };
  @id("tier") forbid (principal, action, resource)
  when { resource.hasTag("tier") } unless { context.acrs.contains("c2") };
`;

const office = `
  @id("office") @advice("Open Monday to Friday from 8:00 to 17:10, Berlin time.")
  forbid (principal, action, resource)
  when { resource.hasTag("window") }
  unless {
    context.clock.hasTag("Europe/Berlin") && context.clock.getTag("Europe/Berlin").weekday <= 5 &&
    context.clock.getTag("Europe/Berlin").minuteOfDay >= 480 &&
    context.clock.getTag("Europe/Berlin").minuteOfDay < 1030
  };
`;

const input: fc.Arbitrary<DecisionInput> = fc
  .record({
    groups: fc.subarray([team, otherTeam]),
    tags: fc.dictionary(
      fc.constantFrom('env', 'window', 'access', 'tier'),
      fc.constantFrom('dev', 'prod', 'bank', 'office', 'locked', '0'),
    ),
    action: fc.constantFrom<DecisionInput['action']>('connect.ssh', 'connect.rdp'),
    port: fc.constantFrom(22, 3389),
    texts: fc.constantFrom({}, { reason: 'x' }, { change: 'CHG1' }, { change: 'x' }),
    durationSeconds: fc.constantFrom(60, 7200, 7201),
    now: fc.integer({ min: 1_700_000_000, max: 1_800_000_000 }),
  })
  .map(({ groups, tags, action, texts, ...rest }) =>
    decisionInput({ caller: { groups }, target: { tags }, action, context: { ...rest, ...texts } }),
  );

describe('any input', () => {
  const scope = { services: vm.services, isReader: true };

  // Without the time window: to look a week ahead takes most of the decisions.
  test('is explained with the decision that is made', () => {
    const policy = loadPolicyText(timeless);

    fc.assert(
      fc.property(input, (one) => {
        const explained = policy.explain?.(one, { ...scope, isReader: false });
        expect(explained?.decision).toEqual(policy.decide(one));
        expect(explained?.endsAt).toBeUndefined();
        if (explained?.decision.outcome !== 'deny') expect(explained?.nearest).toEqual([]);
      }),
      { numRuns: chooseRuns({ short: 40, full: 1000, long: 100_000 }) },
    );
  });

  test('is allowed at the time that is given, and denied at its end', () => {
    const policy = loadPolicyText(timeless + office);

    fc.assert(
      fc.property(input, (one) => {
        const { decision, nearest = [], endsAt } = policy.explain?.(one, scope) ?? {};
        expect(decision).toEqual(policy.decide(one));
        const decideAt = (now: number) =>
          policy.decide({ ...one, context: { ...one.context, now } }).outcome;
        const times = nearest.flatMap((change) => (change.kind === 'time' ? change.at : []));
        expect(times.map((at) => decideAt(Date.parse(at) / 1000))).not.toContain('deny');
        if (endsAt !== undefined) expect(decideAt(endsAt)).toBe('deny');
      }),
      { numRuns: chooseRuns({ short: 5, full: 60, long: 5000 }) },
    );
  });
});
