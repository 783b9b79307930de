import { describe, expect, test } from 'vitest';
import { countPolicies, policyLimits, scanPolicies } from '../../lib/policy-scan.ts';

const policy = '@id("a") permit (principal, action, resource);\n';

function scanText(text: string): readonly string[] {
  return scanPolicies([{ name: 'a.cedar', text }]).map(({ line, detail }) => `${line}: ${detail}`);
}

function withCondition(condition: string): string {
  return `@id("a") permit (principal, action, resource)\nwhen { ${condition} };`;
}

describe('scanPolicies', () => {
  test('lets through what is within the limits', () => {
    const nested = `${'('.repeat(31)}true${')'.repeat(31)}`;
    // Three brackets and `when` are steps as well.
    const long = Array(policyLimits.steps - 3)
      .fill('true')
      .join(' && ');

    expect(scanText(withCondition(nested))).toEqual([]);
    expect(scanText(withCondition(long))).toEqual([]);
    expect(scanText(withCondition(`${long} && true`))).toHaveLength(1);
    expect(scanText(withCondition(long) + withCondition(long))).toEqual([]);
  });

  // Where Cedar would break: 150 nested brackets, and 500 operators.
  test.each([
    ['brackets', `${'('.repeat(32)}true${')'.repeat(32)}`],
    ['sets', `${'['.repeat(32)}1${']'.repeat(32)} == 1`],
    ['records', `${'{a: '.repeat(32)}1${'}'.repeat(32)} == 1`],
    ['calls', `${'[].contains('.repeat(32)}1${')'.repeat(32)}`],
    ['conjunctions', Array(199).fill('true').join(' && ')],
    ['alternatives', Array(199).fill('true').join(' || ')],
    ['sums', `${Array(199).fill('1').join(' + ')} == 1`],
    ['differences', `${Array(199).fill('1').join('-')} == 1`],
    ['products', `${Array(199).fill('1').join('*')} == 1`],
    ['attributes', `context${'.a'.repeat(198)}`],
    ['indexes', `context${'["a"]'.repeat(198)}`],
    ['choices', `${'if true then true else '.repeat(198)}true`],
    ['negations', Array(100).fill('!true').join(' && ')],
    ['clauses', `true }${' when { true }'.repeat(99)} when { true`],
  ])('stops a policy with too many %s', (_kind, condition) => {
    expect(scanText(withCondition(condition))).toEqual([expect.stringContaining('split')]);
  });

  test('counts each policy for itself, and none that a bracket holds together', () => {
    const half = Array(120).fill('true').join(' && ');

    expect(scanText(withCondition(half) + withCondition(half))).toEqual([]);
    expect(scanText(withCondition(`[${half} ; ${half}]`))).toEqual([
      expect.stringContaining('split'),
    ]);
  });

  test('takes brackets and ends in strings and comments for text', () => {
    const brackets = '('.repeat(40);

    expect(scanText(withCondition(`"${brackets};\\"${brackets}" == "" // ${brackets}\n`))).toEqual(
      [],
    );
    expect(scanText(`// ${brackets}\r${policy}`)).toEqual([]);
  });

  test.each([
    ["'", `${policy}permit '`, 2],
    ['a string without an end', `${policy}\n@id("a) permit (principal, action, resource);`, 3],
    ['a letter outside of text', `${policy}pérmit`, 2],
    ['a closing bracket of nothing', `${policy})`, 2],
    ['a lone surrogate', `@id("\uD800") permit (principal, action, resource);`, 1],
  ])('stops at %s', (_what, text, line) => {
    expect(scanText(text)).toEqual([expect.stringMatching(`^${line}: `)]);
  });

  // Cedar ends a comment at a carriage return, too: what follows is policy.
  test('reads on after a carriage return', () => {
    const hidden = `${'('.repeat(40)}true${')'.repeat(40)};`;

    expect(scanText(`// a comment\r${hidden}`)).toHaveLength(1);
    expect(scanText(`// a comment ${hidden}`)).toEqual([]);
  });

  test('bounds the bytes of a file and of the set, the files, and the policies', () => {
    const file = (name: string, text: string) => ({ name: `${name}.cedar`, text });
    const large = `//${'é'.repeat(policyLimits.fileBytes / 2 - 1)}`;

    expect(scanPolicies([file('a', large)])).toEqual([]);
    expect(scanPolicies([file('a', `${large}/`)])).toMatchObject([{ file: 'a.cedar' }]);
    expect(scanPolicies(['a', 'b', 'c', 'd', 'e'].map((name) => file(name, large)))).toHaveLength(
      1,
    );
    expect(scanPolicies(Array.from({ length: 1001 }, (_, n) => file(`${n}`, '')))).toHaveLength(1);
    expect(scanPolicies([file('a', policy.repeat(1000))])).toEqual([]);
    expect(scanPolicies([file('a', policy.repeat(1000)), file('b', policy)])).toHaveLength(1);
  });

  test.each([['../a.cedar'], ['a.json'], [''], ['a\n.cedar'], ['.cedar']])(
    'refuses a file with the name %j',
    (name) => {
      expect(scanPolicies([{ name, text: policy }])).toHaveLength(1);
    },
  );

  test('refuses two files with one name', () => {
    expect(scanPolicies([0, 1].map(() => ({ name: 'a.cedar', text: policy })))).toHaveLength(1);
  });
});

describe('countPolicies', () => {
  test('counts what a semicolon ends, in all files', () => {
    const files = [policy.repeat(3), '// ;', policy].map((text, index) => ({
      name: `${index}`,
      text,
    }));

    expect(countPolicies(files)).toBe(4);
  });
});
