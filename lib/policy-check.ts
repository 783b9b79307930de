import { isDeepStrictEqual } from 'node:util';
import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { ZoneClock } from './policy-clock.ts';
import type { PolicyEngine, PolicyTexts } from './policy-engine.ts';
import { lintPolicy } from './policy-lint.ts';
import { findLine, type Finding, type PolicyFile, scanPolicies } from './policy-scan.ts';
import { policySchema } from './policy-schema.ts';
import { type Fault, readRule, type Rule } from './policy-terms.ts';

/** A set that has passed every check. */
export type PolicySet = {
  readonly texts: PolicyTexts;
  /** Those of its policies that permit. */
  readonly permits: PolicyTexts;
  readonly rules: ReadonlyMap<string, Rule>;
  /** The groups that its policies name. */
  readonly groups: ReadonlySet<string>;
  /** The time zones that its policies name. */
  readonly clocks: ReadonlyMap<string, ZoneClock>;
};

/** The outcome of a check: a set, or what is to be repaired. */
export type Check =
  | { readonly outcome: 'sound'; readonly set: PolicySet }
  | { readonly outcome: 'faulty'; readonly findings: readonly Finding[] };

/** One policy, and where it begins. */
type Source = { readonly file: PolicyFile; readonly index: number; readonly text: string };

type Parsed = ReturnType<typeof lintPolicy> & { readonly source: Source; readonly rule: Rule };

/**
 * Checks a set: limits, syntax, annotations, lint, and Cedar's strict validation with its warnings as faults. Cedar
 * sees nothing before the limits hold.
 */
export function checkPolicies(files: readonly PolicyFile[], engine: PolicyEngine): Check {
  const limits = scanPolicies(files);
  if (limits.length > 0) return { outcome: 'faulty', findings: limits };
  try {
    return checkContent(files, engine);
  } catch {
    const detail = 'Cedar broke off while it read the set: make its policies simpler.';
    return { outcome: 'faulty', findings: [{ file: files[0]?.name ?? '', line: 1, detail }] };
  }
}

function checkContent(files: readonly PolicyFile[], engine: PolicyEngine): Check {
  const split = files.map((file) => splitFile(file, engine));
  const sources = split.flatMap((part) => part.sources);
  const policies = sources.map((source) => parsePolicy(source, engine));
  const findings = dropRepeated([
    ...split.flatMap((part) => part.findings),
    ...policies.flatMap(({ source, faults }) => faults.map((fault) => locateFault(source, fault))),
    ...findRepeatedIds(policies),
    ...findUnequalProfiles(policies),
    ...validatePolicies(sources, engine),
  ]);
  if (findings.length > 0) return { outcome: 'faulty', findings };
  return { outcome: 'sound', set: toPolicySet(policies) };
}

function toPolicySet(policies: readonly Parsed[]): PolicySet {
  return {
    texts: toTexts(policies),
    permits: toTexts(policies.filter(({ rule }) => rule.effect === 'permit')),
    rules: new Map(policies.map(({ rule }) => [rule.id, rule])),
    groups: new Set(policies.flatMap(({ groups }) => groups)),
    clocks: new Map(policies.flatMap(({ clocks }) => clocks)),
  };
}

// The id of a policy is its place in a text unless a record names it: @id means nothing to Cedar.
function toTexts(policies: readonly Parsed[]): PolicyTexts {
  return Object.fromEntries(policies.map(({ rule, source }) => [rule.id, source.text]));
}

function splitFile(
  file: PolicyFile,
  engine: PolicyEngine,
): { readonly sources: readonly Source[]; readonly findings: readonly Finding[] } {
  const answer = engine.call((cedar) => cedar.policySetTextToParts(file.text));
  const whole: Source = { file, index: 0, text: file.text };
  if (answer.type === 'failure')
    return { sources: [], findings: answer.errors.map((error) => locateError(whole, error)) };
  const detail = 'Templates are not used here: write the policy without ?principal and ?resource.';
  const toSource = (text: string): Source => ({ file, text, index: file.text.indexOf(text) });
  return {
    sources: answer.policies.map(toSource),
    findings: answer.policy_templates.map((text) => locateFault(toSource(text), { detail })),
  };
}

function parsePolicy(source: Source, engine: PolicyEngine): Parsed {
  const policy = toJson(source, engine);
  const { rule, faults } = readRule(policy.effect, policy.annotations ?? {});
  const reading = lintPolicy([policy.principal, policy.resource, policy.conditions]);
  return { ...reading, source, rule, faults: [...faults, ...reading.faults] };
}

function toJson({ text }: Source, engine: PolicyEngine): PolicyJson {
  const answer = engine.call((cedar) => cedar.policyToJson(text));
  if (answer.type === 'success') return answer.json;
  throw new Error('Cedar does not read again what it has read');
}

function findRepeatedIds(policies: readonly Parsed[]): readonly Finding[] {
  const seen = new Set<string>();
  return policies.flatMap(({ rule: { id }, source }) => {
    if (id === '' || !seen.has(id)) return seen.add(id) && [];
    return [
      locateFault(source, { near: '@id', detail: `The id "${id}" is taken: choose another.` }),
    ];
  });
}

function findUnequalProfiles(policies: readonly Parsed[]): readonly Finding[] {
  const first = new Map<string, Rule>();
  return policies.flatMap(({ rule, source }) => {
    const { profile } = rule.terms;
    if (profile === undefined) return [];
    const known = first.get(profile);
    if (known === undefined) first.set(profile, rule);
    if (known === undefined || isDeepStrictEqual(known.terms, rule.terms)) return [];
    const detail = `The profile "${profile}" has other terms in the policy "${known.id}": give both the same.`;
    return [locateFault(source, { near: '@profile', detail })];
  });
}

function validatePolicies(sources: readonly Source[], engine: PolicyEngine): readonly Finding[] {
  const policies = { staticPolicies: Object.fromEntries(sources.map(({ text }, i) => [i, text])) };
  const validationSettings = { mode: 'strict' } as const;
  const call = { schema: policySchema, policies, validationSettings };
  const answer = engine.call((cedar) => cedar.validate(call));
  if (answer.type === 'failure') throw new Error('Cedar does not validate what it has read');
  const faults = [...answer.validationErrors, ...answer.validationWarnings];
  return faults.flatMap(({ policyId, error }) => {
    const source = sources[Number(policyId)];
    return source === undefined ? [] : [locateError(source, error)];
  });
}

// Cedar repeats an error for each action that the policy may be about.
function dropRepeated(findings: readonly Finding[]): readonly Finding[] {
  const toKey = ({ file, line, detail }: Finding): string =>
    JSON.stringify([file, line, detail.replaceAll(/Action::"[^"]*"/g, '')]);
  const distinct = new Map(findings.map((finding) => [toKey(finding), finding]));
  return [...distinct.values()].sort(compareFindings);
}

function locateError({ file, index, text }: Source, error: DetailedError): Finding {
  // Cedar counts bytes.
  const start = error.sourceLocations?.[0]?.start ?? 0;
  const before = Buffer.from(text).subarray(0, start).toString();
  const message = error.message.replace(/^for policy `\d+`, /, '');
  const label = error.sourceLocations?.[0]?.label;
  const detail = [message, label, error.help].filter((part) => typeof part === 'string').join('; ');
  return { file: file.name, line: findLine(file.text, index + before.length), detail };
}

function locateFault({ file, index, text }: Source, { near = '', detail }: Fault): Finding {
  return {
    file: file.name,
    line: findLine(file.text, index + Math.max(0, text.indexOf(near))),
    detail,
  };
}

function compareFindings(a: Finding, b: Finding): number {
  return a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1;
}
