import { describe, expect, test } from 'vitest';
import { parseCases, runCase } from '../../lib/policy-case.ts';
import type { Finding } from '../../lib/policy-scan.ts';
import { loadPolicyText } from '../support/policies.ts';

const policy = loadPolicyText(`
  @id("night") @max_duration("1h") permit (principal in Group::"ops", action, resource)
  when { context.clock.hasTag("UTC") && context.clock.getTag("UTC").minuteOfDay < 360 };
  @id("change") @require_change("CHG*") permit (principal, action, resource)
  when { resource.hasTag("env") };
  @id("closed") @advice("Ask ada.") forbid (principal, action, resource)
  when { resource.hasTag("access") };`);

function run(cases: unknown): { readonly cases: number; readonly findings: readonly Finding[] } {
  const file = { name: 'night.json', text: JSON.stringify(cases, undefined, 2) };
  const read = parseCases(file);
  const findings = read.cases.flatMap((one) => runCase(policy, one, file));
  return { cases: read.cases.length, findings: [...read.findings, ...findings] };
}

const night = {
  caller: { groups: ['ops'] },
  context: { now: '2025-01-15T05:59:00+00:00' },
};

describe('a file of cases', () => {
  test('passes when each decides as it expects', () => {
    const cases = [
      {
        name: 'at night',
        input: night,
        expect: { outcome: 'allow', terms: { maxDurationSeconds: 3600 }, policies: ['night'] },
      },
      {
        name: 'by day',
        input: { ...night, context: {} },
        expect: { outcome: 'deny', policies: [] },
      },
      { name: 'nobody', expect: { outcome: 'deny' } },
      {
        name: 'without a change',
        input: { target: { tags: { env: 'prod' } } },
        expect: { outcome: 'needs', needs: [{ kind: 'change', pattern: 'CHG*' }] },
      },
      {
        name: 'closed',
        input: { ...night, target: { tags: { Access: 'x' } } },
        expect: { outcome: 'deny', advice: ['Ask ada.'] },
      },
    ];

    expect(run(cases)).toEqual({ cases: 5, findings: [] });
  });

  test('fills in what it leaves out of the person for whom a workload acts', () => {
    const input = { ...night, caller: { kind: 'workload', groups: ['ops'] } };
    const [member, stranger] = [{ groups: ['ops'] }, {}];
    const policies = ['night', 'onBehalfOf:night'];

    expect(
      run([
        {
          name: 'both',
          input: { ...input, onBehalfOf: member },
          expect: { outcome: 'allow', policies },
        },
        { name: 'one', input: { ...input, onBehalfOf: stranger }, expect: { outcome: 'deny' } },
      ]),
    ).toEqual({ cases: 2, findings: [] });
  });

  test.each([
    [{ outcome: 'deny' }, 'outcome is "allow", expected is "deny".'],
    [{ outcome: 'allow', terms: {} }, 'terms is {"maxDurationSeconds":3600}, expected is {}.'],
    [{ outcome: 'allow', policies: [] }, 'policies is ["night"], expected is [].'],
    [{ outcome: 'allow', advice: [] }, 'advice is absent, expected is [].'],
  ])('names what is not as expected: %j', (expected, difference) => {
    const cases = [
      { name: 'first', expect: { outcome: 'deny' } },
      { name: 'at night', input: night, expect: expected },
    ];

    expect(run(cases)).toEqual({
      cases: 2,
      findings: [{ file: 'night.json', line: 9, detail: `at night: ${difference}` }],
    });
  });

  test('names the member of the case that is not known', () => {
    const cases = [
      { name: 'first', expect: { outcome: 'deny' } },
      { name: 'typo', input: { target: { tgs: {} } }, expect: { outcome: 'deny' } },
    ];

    const { findings } = run(cases);

    expect(findings.map(({ line, detail }) => `${line}: ${detail}`)).toEqual([
      expect.stringMatching(/^9: input\.target: .*tgs/),
    ]);
  });

  test.each([
    [{ caller: 'ada' }],
    [{ target: 5 }],
    [{ context: { now: '2025-01-15T05:59:00' } }],
    [{ context: { port: '22' } }],
    [{ action: 'connect.vnc' }],
    [{ when: {} }],
  ])('refuses the input %j', (input) => {
    expect(run([{ name: 'a', input, expect: { outcome: 'deny' } }])).toMatchObject({ cases: 0 });
  });

  test('finds a file that is no JSON', () => {
    expect(parseCases({ name: 'a.json', text: '[' }).findings).toHaveLength(1);
  });
});
