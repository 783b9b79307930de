import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import { loadPolicy } from '../../lib/policy.ts';
import { decisionInput, team, loadPolicyText } from '../support/policies.ts';

const anyone = '@id("anyone") permit (principal, action, resource);';

/** A caller with the ids in capitals, as a careless source might give them. */
const shouted = decisionInput({
  caller: { id: decisionInput().caller.id.toUpperCase(), groups: [team.toUpperCase()] },
  target: {
    id: decisionInput().target.id.toUpperCase(),
    name: 'WEB-1',
    subscription: decisionInput().target.subscription.toUpperCase(),
    resourceGroup: 'Shop',
    tags: { ENV: 'dev' },
  },
});

describe('decide', () => {
  test('denies when there is no policy', () => {
    expect(loadPolicyText('').decide(decisionInput())).toMatchObject({
      outcome: 'deny',
      policies: [],
      advice: [],
    });
  });

  test('denies when no permit is about the request', () => {
    const policy = loadPolicyText(
      '@id("rdp") permit (principal, action == Action::"connect.rdp", resource);',
    );

    expect(policy.decide(decisionInput())).toMatchObject({ outcome: 'deny', policies: [] });
  });

  test('allows with the terms of the permit, and no term that the permit does not name', () => {
    const policy = loadPolicyText(`
      @id("dev") @max_duration("30m") @max_connections("4") @max_idle("90s") @advice("Be brief.")
      permit (principal, action, resource);`);

    expect(policy.decide(decisionInput())).toEqual({
      outcome: 'allow',
      policies: ['dev'],
      digest: policy.digest,
      terms: { maxDurationSeconds: 1800, maxConnections: 4, maxIdleSeconds: 90 },
    });
    expect(loadPolicyText(anyone).decide(decisionInput())).toMatchObject({ terms: {} });
  });

  test('denies what one policy forbids, whatever permits it, with the advice of every forbid', () => {
    const policy = loadPolicyText(`${anyone}
      @id("b") @advice("Second.") forbid (principal, action, resource);
      @id("a") @advice("First.") forbid (principal, action, resource);
      @id("c") forbid (principal, action, resource);`);

    expect(policy.decide(decisionInput())).toEqual({
      outcome: 'deny',
      policies: ['a', 'b', 'c'],
      advice: ['First.', 'Second.'],
      digest: policy.digest,
    });
  });

  // Advice for everybody would tell a hidden target from an absent one.
  test('advises only those whom a permit would let in', () => {
    const policy = loadPolicyText(`
      @id("team") permit (principal in Group::"${team}", action, resource);
      @id("locked") @advice("Ask the owner.") forbid (principal, action, resource);`);
    const decide = (groups: string[]) => policy.decide(decisionInput({ caller: { groups } }));

    expect(decide([team])).toMatchObject({ policies: ['locked'], advice: ['Ask the owner.'] });
    expect(decide([])).toMatchObject({ policies: ['locked'], advice: [] });
  });

  test('names equal offers in the order of their ids', () => {
    const policy = loadPolicyText(
      ['c', 'a', 'b'].map((id) => `@id("${id}") permit (principal, action, resource);`).join('\n'),
    );

    expect(policy.decide(decisionInput())).toMatchObject({ policies: ['a', 'b', 'c'] });
  });

  test('names policies by their @id, not by their place in the text', () => {
    const text = Array.from(
      { length: 12 },
      (_, index) =>
        `@id("p${index}") @max_connections("${index + 1}") permit (principal, action, resource)
         when { context.port == ${index} };`,
    ).join('\n');

    expect(loadPolicyText(text).decide(decisionInput({ context: { port: 11 } }))).toMatchObject({
      policies: ['p11'],
      terms: { maxConnections: 12 },
    });
  });

  // Cedar skips a policy that errs: without the guard the permit would stand alone.
  test('denies when a forbid errs', () => {
    const doubts: unknown[] = [];
    const policy = loadPolicyText(
      `${anyone}
       @id("overflow") forbid (principal, action, resource)
       when { context.port * 9223372036854775807 > 1 };`,
      { log: (event, { cause } = {}) => doubts.push(event, cause) },
    );

    expect(policy.decide(decisionInput())).toMatchObject({ outcome: 'deny', policies: [] });
    expect(doubts).toEqual(['policy.failed', expect.stringContaining('overflow')]);
  });

  // Cedar takes a missing parent for none: without the guard the forbid would be about nothing.
  test.each([
    ['has no subscription', { subscription: '' }],
    ['has no resource group', { resourceGroup: '' }],
    ['has a resource group that reads as another', { resourceGroup: 'shop/x' }],
  ])('denies when the target %s', (_fault, target) => {
    const text = `${anyone}
      @id("closed") forbid (principal, action, resource in Subscription::"closed");`;

    expect(loadPolicyText(text).decide(decisionInput({ target })).outcome).toBe('deny');
  });

  test.each(['User', 'ServicePrincipal'])('knows a %s by the kind of the caller', (type) => {
    const policy = loadPolicyText(`@id("kind") permit (principal is ${type}, action, resource);`);
    const decide = (kind: 'person' | 'workload'): string =>
      policy.decide(decisionInput({ caller: { kind } })).outcome;

    expect([decide('person'), decide('workload')]).toEqual(
      type === 'User' ? ['allow', 'deny'] : ['deny', 'allow'],
    );
  });

  test.each([
    `resource in Subscription::"${decisionInput().target.subscription}"`,
    `resource in ResourceGroup::"${decisionInput().target.subscription}/shop"`,
    `resource == VirtualMachine::"${decisionInput().target.id}"`,
    `principal == User::"${decisionInput().caller.id}"`,
    `principal in Group::"${team}"`,
    'resource.name == "web-1"',
    'resource.name like "web-*"',
    'resource.hasTag("env") && resource.getTag("env") == "dev"',
  ])('finds that %s, in any letter case', (condition) => {
    const policy = loadPolicyText(`${anyone}
      @id("found") forbid (principal, action, resource) when { ${condition} };`);

    expect(policy.decide(decisionInput())).toMatchObject({ policies: ['found'] });
    expect(policy.decide(shouted)).toMatchObject({ policies: ['found'] });
  });

  test('takes the Kelvin sign for no k', () => {
    const policy = loadPolicyText(
      '@id("key") permit (principal, action, resource) when { resource.name == "key" };',
    );

    expect(policy.decide(decisionInput({ target: { name: 'Key' } })).outcome).toBe('allow');
    expect(policy.decide(decisionInput({ target: { name: '\u212Aey' } })).outcome).toBe('deny');
  });

  // Policy would see one of them, and a VM could hide the tag that closes it behind the other.
  test('denies when two tags differ only in case', () => {
    const target = { tags: { env: 'dev', Env: 'prod' } };

    expect(loadPolicyText(anyone).decide(decisionInput({ target })).outcome).toBe('deny');
  });

  test.each(['10.1.2.3', '::ffff:10.1.2.3', '::ffff:a01:203'])(
    'finds the source address %s in an IPv4 range',
    (sourceIp) => {
      const policy = loadPolicyText(`@id("office") permit (principal, action, resource)
        when { context has sourceIp && context.sourceIp.isInRange(ip("10.0.0.0/8")) };`);

      expect(policy.decide(decisionInput({ context: { sourceIp } })).outcome).toBe('allow');
    },
  );

  test.each(['10.0.0.0/7', '10.1.2.3:443', 'localhost', '010.1.2.3', ''])(
    'denies when the source address is "%s"',
    (sourceIp) => {
      expect(loadPolicyText(anyone).decide(decisionInput({ context: { sourceIp } })).outcome).toBe(
        'deny',
      );
    },
  );

  test('knows the time of each zone that a policy names', () => {
    const toText = (zone: string, weekday: number, minute: number): string =>
      `@id("${zone.toLowerCase().replace('/', '-')}") permit (principal, action, resource)
       when { context.clock.hasTag("${zone}") && context.clock.getTag("${zone}").weekday == ${weekday} }
       when { context.clock.hasTag("${zone}") && context.clock.getTag("${zone}").minuteOfDay == ${minute} };`;
    const policy = loadPolicyText(
      toText('Europe/Berlin', 3, 780) + toText('Pacific/Auckland', 4, 60) + toText('UTC', 3, 720),
    );

    expect(policy.decide(decisionInput())).toMatchObject({
      policies: ['europe-berlin', 'pacific-auckland', 'utc'],
    });
  });

  test('lets a policy end at a date', () => {
    const policy = loadPolicyText(`@id("january") permit (principal, action, resource)
      when { context.now < datetime("2025-02-01T00:00:00Z") };`);
    const decide = (now: number): string =>
      policy.decide(decisionInput({ context: { now } })).outcome;

    expect([decide(1_738_367_999), decide(1_738_368_000)]).toEqual(['allow', 'deny']);
  });
});

describe('the digest', () => {
  const files = [
    { name: 'a.cedar', text: `${anyone}\n` },
    { name: 'b.cedar', text: '@id("b") permit (principal, action, resource);\n' },
  ];
  const engine = createPolicyEngine();
  const digest = (set: typeof files): string => loadPolicy(set, engine, () => undefined).digest;

  test('is the same in any order of files and with any line ends', () => {
    const windows = files.map(({ name, text }) => ({ name, text: text.replaceAll('\n', '\r\n') }));

    expect(digest(windows.toReversed())).toBe(digest(files));
    expect(digest(files)).toMatch(/^[\w-]{43}$/);
  });

  test('is another for any other text', () => {
    const comment = files.map((file) => ({ ...file, text: `${file.text}//` }));

    expect(digest(comment)).not.toBe(digest(files));
    expect(digest(files.slice(1))).not.toBe(digest(files));
  });
});

describe('loadPolicy', () => {
  test('refuses a faulty set for every caller, and keeps the findings for the log', () => {
    const failure = catchFailure(() => loadPolicyText('permit (principal, action, resource);'));

    expect(failure.code).toBe('policy-unavailable');
    expect(failure.message).not.toContain('test.cedar');
    expect(String(failure.cause)).toContain('test.cedar:1: Give the policy an @id');
  });
});

function catchFailure(run: () => unknown): BrokerError {
  try {
    run();
  } catch (failure) {
    if (failure instanceof BrokerError) return failure;
  }
  throw new Error('nothing failed as expected');
}
