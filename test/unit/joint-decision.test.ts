import { describe, expect, test } from 'vitest';
import type { DecisionInput } from '../../lib/decision.ts';
import { toSides } from '../../lib/joint-decision.ts';
import { decisionInput, loadPolicyText, team } from '../support/policies.ts';

const tenant = '0a000000-0000-4000-8000-00000000000a';
const ada = `${tenant}.ada`;
const bot = `${tenant}.bot`;
const sre = '0c000000-0000-4000-8000-00000000000f';

type Changes = Parameters<typeof decisionInput>[0] &
  Pick<DecisionInput, 'delegation'> & { readonly person?: Partial<DecisionInput['onBehalfOf']> };

/** A workload asks in the name of ada, who is in `team`. */
function delegated({ person, delegation, ...changes }: Changes = {}): DecisionInput {
  const workload = { kind: 'workload' as const, id: bot, app: 'ci', groups: [], acrs: [] };
  const input = decisionInput({ ...changes, caller: { ...workload, ...changes.caller } });
  const onBehalfOf = {
    id: ada,
    kind: 'person' as const,
    app: 'portal',
    issuer: input.caller.issuer,
    groups: [team],
    acrs: [],
    ...person,
  };
  return { ...input, onBehalfOf, ...(delegation === undefined ? {} : { delegation }) };
}

function delegation(
  changes: Partial<NonNullable<DecisionInput['delegation']>> = {},
): NonNullable<DecisionInput['delegation']> {
  const id = 'de1e0000-0000-4000-8000-000000000001';
  return { id, terms: {}, expiresAt: decisionInput().context.now + 3600, ...changes };
}

const forPeople = `@id("people") permit (principal in Group::"${team}", action, resource);`;
const forBots = '@id("bots") permit (principal is ServicePrincipal, action, resource);';

describe('a workload that acts for a person', () => {
  test.each([
    ['neither is permitted', '', 'deny'],
    ['the workload alone is permitted', forBots, 'deny'],
    ['the person alone is permitted', forPeople, 'deny'],
    ['both are permitted', forBots + forPeople, 'allow'],
  ])('gets what both get: %s', (_case, text, outcome) => {
    expect(loadPolicyText(text).decide(delegated())).toMatchObject({ outcome });
  });

  test('gets the tighter of both terms and of the delegation, with the ids behind both', () => {
    const policy = loadPolicyText(`
      @id("bots") @max_duration("1h") @max_connections("2") @source_networks("10.0.0.0/8")
      permit (principal is ServicePrincipal, action, resource);
      @id("people") @max_duration("30m") @max_connections("8") @source_networks("10.1.0.0/16")
      permit (principal is User, action, resource);`);
    const terms = { maxBytes: 1024, maxConnections: 4 };

    expect(policy.decide(delegated({ delegation: delegation({ terms }) }))).toEqual({
      outcome: 'allow',
      policies: ['bots', 'onBehalfOf:people'],
      digest: policy.digest,
      terms: {
        maxDurationSeconds: 1800,
        maxConnections: 2,
        maxBytes: 1024,
        sourceNetworks: ['10.1.0.0/16'],
      },
    });
  });

  test('gets nothing where no network is permitted to both', () => {
    const policy = loadPolicyText(`
      @id("bots") @source_networks("10.0.0.0/8")
      permit (principal is ServicePrincipal, action, resource);
      @id("people") @source_networks("192.168.0.0/16")
      permit (principal is User, action, resource);`);

    expect(policy.decide(delegated())).toMatchObject({ outcome: 'deny', policies: [] });
  });

  test('needs what either needs, and is allowed once all of it is met', () => {
    const policy = loadPolicyText(`
      @id("bots") @require_approval("ops") @require_reason("*")
      permit (principal is ServicePrincipal, action, resource);
      @id("people") @require_approval("2 of ops") @require_change("CHG*")
      permit (principal is User, action, resource);`);
    const approvals = ['tenant.x', 'tenant.y'].map((by) => ({ by, group: 'ops' }));
    const met = { approvals, reason: 'r', change: 'CHG1' };

    expect(policy.decide(delegated())).toMatchObject({
      outcome: 'needs',
      needs: [
        { kind: 'reason', pattern: '*' },
        { kind: 'approval', group: 'ops', count: 2 },
        { kind: 'change', pattern: 'CHG*' },
      ],
    });
    expect(policy.decide(delegated({ context: met }))).toMatchObject({ outcome: 'allow' });
    const one = { ...met, approvals: approvals.slice(1) };
    expect(policy.decide(delegated({ context: one }))).toMatchObject({ outcome: 'needs' });
  });

  test('needs the approval of both groups where each side has one of its own', () => {
    const policy = loadPolicyText(`
      @id("bots") @require_approval("ops") permit (principal is ServicePrincipal, action, resource);
      @id("people") @require_approval("sre") permit (principal is User, action, resource);`);
    const ops = [{ by: 'tenant.x', group: 'ops' }];

    expect(policy.decide(delegated({ context: { approvals: ops } }))).toMatchObject({
      outcome: 'needs',
      needs: [{ kind: 'approval', group: 'sre', count: 1 }],
    });
  });

  // Step-up is proof that somebody is there.
  test('does not pass for a person who has stepped up', () => {
    const policy = loadPolicyText(`
      ${forBots} @id("people") @require_acr("c1") permit (principal is User, action, resource);`);
    const input = delegated({ caller: { acrs: ['c1'] } });

    expect(policy.decide(input)).toMatchObject({
      outcome: 'needs',
      needs: [{ kind: 'acr', acr: 'c1' }],
    });
  });

  test('is judged by when each of the two signed in', () => {
    const policy = loadPolicyText(`
      ${forBots}
      @id("people") permit (principal is User, action, resource)
      when { context has signInAgeSeconds && context.signInAgeSeconds < 60 };`);
    const age = { context: { signInAgeSeconds: 5 } };

    expect(policy.decide(delegated(age))).toMatchObject({ outcome: 'deny' });
    expect(policy.decide(delegated({ ...age, person: { signInAgeSeconds: 70 } }))).toMatchObject({
      outcome: 'deny',
    });
    expect(policy.decide(delegated({ person: { signInAgeSeconds: 50 } }))).toMatchObject({
      outcome: 'allow',
    });
  });

  test('is denied from the second on in which the delegation ends', () => {
    const policy = loadPolicyText(forBots + forPeople);
    const { now } = decisionInput().context;
    const until = (expiresAt: number) => delegated({ delegation: delegation({ expiresAt }) });

    expect(policy.decide(until(now + 1))).toMatchObject({ outcome: 'allow' });
    expect(policy.decide(until(now))).toMatchObject({ outcome: 'deny', policies: [] });
  });
});

describe('a denial', () => {
  const forbidPeople =
    '@id("night") @advice("Not at night.") forbid (principal is User, action, resource);';

  test('names the policies of the side that is denied, and tells it what to do', () => {
    const policy = loadPolicyText(forBots + forPeople + forbidPeople);

    expect(policy.decide(delegated())).toMatchObject({
      outcome: 'deny',
      policies: ['onBehalfOf:night'],
      advice: ['Not at night.'],
    });
  });

  // Threat 13: whom nothing permits must not learn from the other's advice that there is something to forbid.
  test('tells a workload that nothing permits nothing of what the person is told', () => {
    const policy = loadPolicyText(forPeople + forbidPeople);

    expect(policy.decide(delegated())).toMatchObject({ outcome: 'deny', advice: [] });
  });
});

describe('policies about delegated use', () => {
  const unlessDelegated = '@id("alone") forbid (principal is ServicePrincipal, action, resource)';

  test('see whether the caller acts for somebody, and for whom', () => {
    const permit = '@id("bots") permit (principal is ServicePrincipal, action, resource)';
    const policy = loadPolicyText(`
      ${forPeople}
      ${permit} when { context has onBehalfOf && context.onBehalfOf.app == "portal" };`);
    const { onBehalfOf: _, ...alone } = delegated();

    expect(policy.decide(delegated())).toMatchObject({ outcome: 'allow' });
    expect(policy.decide(delegated({ person: { app: 'other' } }))).toMatchObject({
      outcome: 'deny',
    });
    expect(policy.decide(alone)).toMatchObject({ outcome: 'deny' });
  });

  // A parent that is missing would make a forbid about a group one about nobody (DESIGN, section 7).
  test('see the groups of the person, whatever the workload is in', () => {
    const policy = loadPolicyText(`${forBots} ${forPeople} ${unlessDelegated}
      when { context has onBehalfOf && context.onBehalfOf in Group::"${sre}" };`);
    const person = { groups: [team, sre.toUpperCase()] };

    expect(policy.decide(delegated())).toMatchObject({ outcome: 'allow' });
    for (const groups of [[], [sre], [team, sre]])
      expect(policy.decide(delegated({ person, caller: { groups } }))).toMatchObject({
        outcome: 'deny',
        policies: ['alone'],
      });
  });

  test('do not see it when they are asked about the person', () => {
    const policy = loadPolicyText(`
      ${forBots}
      @id("people") permit (principal is User, action, resource)
      unless { context has onBehalfOf };`);

    expect(policy.decide(delegated())).toMatchObject({ outcome: 'allow' });
  });

  test('know the person by the id in any case', () => {
    const policy = loadPolicyText(`${forBots}
      @id("people") permit (principal == User::"${ada}", action, resource);
      @id("self") forbid (principal is ServicePrincipal, action, resource)
      unless { context has onBehalfOf && context.onBehalfOf == User::"${ada}" };`);

    expect(policy.decide(delegated({ person: { id: ada.toUpperCase() } }))).toMatchObject({
      outcome: 'allow',
    });
  });
});

describe('who acts for whom', () => {
  const policy = loadPolicyText('@id("anyone") permit (principal, action, resource);');

  // In doubt is a deny: only a workload acts for somebody, and only for a person who is named.
  test.each([
    ['a person who acts for another', delegated({ caller: { kind: 'person' } }), 'acts for nobody'],
    ['a delegation of nobody', { ...decisionInput(), delegation: delegation() }, 'names nobody'],
  ])('is in doubt with %s, and denied', (_case, input, doubt) => {
    expect(policy.decide(input)).toMatchObject({ outcome: 'deny', policies: [], advice: [] });
    expect(() => toSides(input)).toThrow(doubt);
  });
});
