import { describe, expect, test } from 'vitest';
import { checkPolicies } from '../../lib/policy-check.ts';
import { createPolicyEngine, loadCedar, type PolicyEngine } from '../../lib/policy-engine.ts';

const engine = createPolicyEngine();

function findFaults(...texts: readonly string[]): readonly string[] {
  const files = texts.map((text, index) => ({ name: `${index + 1}.cedar`, text }));
  const check = checkPolicies(files, engine);
  const findings = check.outcome === 'faulty' ? check.findings : [];
  return findings.map(({ file, line, detail }) => `${file}:${line}: ${detail}`);
}

/** A policy with a condition that is on its fourth line. */
function withCondition(condition: string): string {
  return `@id("a")\npermit (principal, action, resource)\nwhen {\n${condition}\n};`;
}

function withAnnotation(annotation: string, effect = 'permit'): string {
  return `@id("a")\n${annotation}\n${effect} (principal, action, resource);`;
}

describe('checkPolicies', () => {
  test('finds nothing in a set that uses the whole vocabulary', () => {
    const conditions = [
      'principal.app == "0d000000-0000-4000-8000-00000000000d"',
      'principal.issuer == "https://Issuer.example/A"',
      'resource.id == "0e000000-0000-4000-8000-00000000000e"',
      'resource.name like "web-*"',
      '["linux", "windows"].contains(resource.os)',
      'resource.hasTag("cost center") && resource.getTag("cost center") == "K 1"',
      'context.port == 22',
      'context.now < datetime("2030-01-01T00:00:00Z")',
      'context.clock.hasTag("Asia/Tokyo") && context.clock.getTag("Asia/Tokyo").weekday == 1',
      'context.durationSeconds <= 600',
      'context has signInAgeSeconds && context.signInAgeSeconds < 60',
      'context has sourceIp && context.sourceIp.isInRange(ip("10.0.0.0/8"))',
      'context has reason && context.reason like "INC*"',
      'context has change && context.change like "CHG*"',
      'context.acrs.contains("C1")',
      'principal in [Group::"domain admins", Group::"b"]',
    ];

    expect(findFaults(withCondition(conditions.join(' &&\n')))).toEqual([]);
  });

  test('names file and line, and counts lines below letters of two bytes', () => {
    const text = `// é ü\n@id("ä") permit (principal, action, resource);\n${withCondition('context.prt == 1').replace('"a"', '"b"')}`;

    expect(findFaults(withAnnotation(''), text)).toEqual([
      expect.stringMatching(/^2.cedar:2: .*@id/),
      expect.stringMatching(/^2.cedar:6: .*did you mean `port`/),
    ]);
  });

  test('names the line in a policy, below letters of two bytes', () => {
    const text = withCondition(`// ${'é'.repeat(20)}\ncontext.prt == 1\n&& true\n&& true`);

    expect(findFaults(text)).toEqual([expect.stringMatching(/^1.cedar:5: .*`prt`/)]);
  });

  // It would cost the instance, and in a broker the decisions of that moment.
  test('shows Cedar nothing of a set beyond the limits', () => {
    const untouched: PolicyEngine = {
      ...engine,
      call: () => {
        throw new Error('Cedar was called');
      },
    };
    const text = withCondition(`${'('.repeat(200)}true${')'.repeat(200)}`);

    expect(checkPolicies([{ name: 'a.cedar', text }], untouched)).toEqual({
      outcome: 'faulty',
      findings: [{ file: 'a.cedar', line: 4, detail: expect.stringContaining('split') as unknown }],
    });
  });

  test('finds a set in which Cedar breaks off', () => {
    const broken = createPolicyEngine(() => ({
      ...loadCedar(),
      validate: () => {
        throw new Error('memory access out of bounds');
      },
    }));

    expect(checkPolicies([{ name: 'a.cedar', text: withAnnotation('') }], broken)).toMatchObject({
      outcome: 'faulty',
    });
  });

  test.each([
    ['does not parse', withCondition('context.port = 22'), 4],
    ['is a template', '\n@id("a") permit (principal == ?principal, action, resource);', 2],
    ['asks for an attribute that is not there', withCondition('resource.owner == "ada"'), 4],
    ['reads an optional fact without a look', withCondition('context.reason == "x"'), 4],
    ['reads a tag without a look', withCondition('resource.getTag("env") == "dev"'), 4],
    ['can never apply', withCondition('false'), 1],
    ['names an action that is not there', withCondition('action == Action::"connect.vnc"'), 4],
    ['hides text by its direction', withCondition('resource.name == "a\u202Eb"'), 4],
  ])('finds a policy that %s', (_fault, text, line) => {
    expect(findFaults(text)).toContainEqual(expect.stringMatching(`^1.cedar:${line}: `));
  });

  test.each([
    '@require_recording("true")',
    '@require_approval("")',
    '@require_approval("Ops")',
    '@require_approval("0 of ops")',
    '@require_approval("10 of ops")',
    '@require_approval("two of ops")',
    '@require_acr("c 1")',
    '@require_reason("")',
    '@require_change("a\\nb")',
    '@max_bytes("0MiB")',
    '@max_bytes("1MB")',
    '@max_bytes("100")',
    '@source_networks("10.0.0.1/8")',
    '@source_networks("example.org")',
    '@source_networks("10.0.0.0/8;10.1.0.0/16")',
    `@source_networks("${Array.from({ length: 51 }, (_, i) => `10.${i}.0.0/16`).join(',')}")`,
    '@profile("Break glass")',
    '@maxduration("1h")',
    '@Max_Duration("1h")',
    '@constructor("x")',
    '@max_duration',
    '@max_duration("")',
    '@max_duration("0m")',
    '@max_duration("30")',
    '@max_duration("1.5h")',
    '@max_duration("25h")',
    '@max_duration(" 1h")',
    '@max_idle("1d")',
    '@max_connections("0")',
    '@max_connections("-1")',
    '@max_connections("1001")',
    '@max_connections("4x")',
    '@advice',
    '@advice("")',
    '@advice("a\\nb")',
    '@advice("a\\u{202e}b")',
    `@advice("${'a'.repeat(501)}")`,
  ])('finds the annotation %s', (annotation) => {
    expect(findFaults(withAnnotation(annotation))).toEqual([expect.stringMatching(/^1.cedar:2: /)]);
  });

  test.each([
    '@max_duration("1h")',
    '@max_connections("1")',
    '@max_idle("1h")',
    '@max_bytes("1GiB")',
    '@source_networks("10.0.0.0/8")',
    '@require_acr("c1")',
    '@require_reason("*")',
    '@require_change("*")',
    '@require_approval("ops")',
    '@profile("standard")',
  ])('finds that a forbid has the term %s', (annotation) => {
    expect(findFaults(withAnnotation(annotation, 'forbid'))).toEqual([
      expect.stringMatching(/^1.cedar:2: /),
    ]);
    expect(findFaults(withAnnotation('@advice("No.")', 'forbid'))).toEqual([]);
  });

  test.each(['', '@id', '@id("")', '@id("A")', '@id("a b")', '@id("__proto__")'])(
    'finds that "%s" is no id',
    (id) => {
      expect(findFaults(`${id} permit (principal, action, resource);`)).toEqual([
        expect.stringMatching(/^1.cedar:1: .*@id/),
      ]);
    },
  );

  test('finds an id that another file has', () => {
    expect(findFaults(withAnnotation(''), withAnnotation('', 'forbid'))).toEqual([
      expect.stringMatching(/^2.cedar:1: .*"a" is taken/),
    ]);
  });

  // Each of these parses and validates, and never matches: a forbid would forbid nothing.
  test.each([
    'principal in Group::"0C000000-0000-4000-8000-00000000000A"',
    'principal in [Group::"b", Group::"B"]',
    'principal == User::"0b000000-0000-4000-8000-00000000000b"',
    'principal == User::"Tenant.subject"',
    'principal == User::"tenant.s\u00fcbject"',
    'resource == VirtualMachine::"web-1"',
    'resource == VirtualMachine::"0E000000-0000-4000-8000-00000000000E"',
    'resource in ResourceGroup::"shop"',
    'resource in ResourceGroup::"/subscriptions/0f000000-0000-4000-8000-00000000000f/resourcegroups/shop"',
    'resource in Subscription::"/subscriptions/0f000000-0000-4000-8000-00000000000f"',
    'resource.hasTag("Env")',
    'resource.hasTag("\u212Aey")',
    'resource.hasTag("env") && resource.getTag("env") == "0E000000-0000-4000-8000-00000000000E"',
    'resource.hasTag(resource.name)',
    'context.clock.hasTag("Europe/Berln")',
    'context.clock.hasTag(resource.name)',
    '(if resource.os == "linux" then context.clock else context.clock).hasTag("europe/berlin")',
    'Clock::"now".hasTag("UTC")',
    'resource.name == "Web-1"',
    '"Web-1" == resource.name',
    'resource.name != "Web-1"',
    'resource.name like "*Web*"',
    '["web-1", "Web-2"].contains(resource.name)',
    'resource.os == "Windows"',
    'principal.app == "0D000000-0000-4000-8000-00000000000D"',
    'context has onBehalfOf && context.onBehalfOf.app == "Portal"',
    'context has onBehalfOf && context.onBehalfOf in Group::"Ops"',
    'User::"tenant.subject" in Group::"b"',
    'User::"tenant.subject".app == "x"',
  ])('finds that %s never matches', (condition) => {
    expect(findFaults(withCondition(condition))).toContainEqual(
      expect.stringMatching(condition.startsWith('User') ? /^1.cedar:1: / : /^1.cedar:4: /),
    );
  });

  test('leaves the case of values alone', () => {
    const condition =
      'resource.hasTag("env") && resource.getTag("env") == "Dev" && context has reason && context.reason like "INC*"';

    expect(findFaults(withCondition(condition))).toEqual([]);
  });
});
