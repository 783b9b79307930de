import type { Terms } from './terms.ts';
import { termsShape } from './terms.ts';

/** What the annotations of one policy say. */
export type Rule = {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** Empty on a forbid. */
  readonly terms: Terms;
  readonly advice?: string;
};

/** What is wrong with a policy, and a piece of its text that is near the fault. */
export type Fault = { readonly detail: string; readonly near?: string };

/** The annotations of a policy as Cedar gives them; one without a value is null. */
export type Annotations = Readonly<Record<string, string | null>>;

type TermReader = {
  readonly term: keyof Terms;
  readonly expected: string;
  readonly read: (text: string) => number | undefined;
};

const unitSeconds = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3600],
]);
const maxSeconds = 24 * 3600;
const maxConnections = 1000;
const time = 'a time from "1s" to "24h"';

// A map, not an object: an object would know the annotation `@constructor`.
const termReaders = new Map<string, TermReader>([
  ['max_duration', { term: 'maxDurationSeconds', expected: time, read: readSeconds }],
  ['max_idle', { term: 'maxIdleSeconds', expected: time, read: readSeconds }],
  [
    'max_connections',
    { term: 'maxConnections', expected: 'a number from "1" to "1000"', read: readCount },
  ],
]);

const idPattern = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const advicePattern = /^[^\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]+$/u;
const maxAdviceCharacters = 500;

/** Reads the annotations of a policy. The rule means something only when there is no fault. */
export function readRule(
  effect: Rule['effect'],
  annotations: Annotations,
): { readonly rule: Rule; readonly faults: readonly Fault[] } {
  const { id, advice, ...others } = annotations;
  const readings = Object.entries(others).map(([key, value]) => readTerm(effect, key, value));
  const faults = [readIdFault(id), readAdviceFault(advice), ...readings.map(({ fault }) => fault)];
  const terms = termsShape.parse(Object.fromEntries(readings.flatMap(({ term }) => term ?? [])));
  return {
    rule: { id: id ?? '', effect, terms, ...(typeof advice === 'string' ? { advice } : {}) },
    faults: faults.filter((fault) => fault !== undefined),
  };
}

/**
 * Orders offers, best first: the one that allows the longest, then most connections, then the longest idle time, then
 * by id. An absent term does not limit.
 */
export function compareOffers(a: Rule, b: Rule): number {
  return (
    compareLimits(a.terms.maxDurationSeconds, b.terms.maxDurationSeconds) ||
    compareLimits(a.terms.maxConnections, b.terms.maxConnections) ||
    compareLimits(a.terms.maxIdleSeconds, b.terms.maxIdleSeconds) ||
    (a.id < b.id ? -1 : 1)
  );
}

function compareLimits(a = Number.MAX_SAFE_INTEGER, b = Number.MAX_SAFE_INTEGER): number {
  return b - a;
}

function readTerm(
  effect: Rule['effect'],
  key: string,
  value: string | null,
): { readonly term?: readonly [[keyof Terms, number]]; readonly fault?: Fault } {
  const near = `@${key}`;
  const reader = termReaders.get(key);
  // An annotation that is not understood may be meant to limit: Cedar would ignore it.
  if (reader === undefined) return { fault: { near, detail: `@${key} is not known. ${known()}` } };
  if (effect === 'forbid')
    return { fault: { near, detail: `A forbid has no terms: remove @${key}.` } };
  const number = reader.read(value ?? '');
  if (number === undefined)
    return { fault: { near, detail: `Give @${key} ${reader.expected}, in quotes.` } };
  return { term: [[reader.term, number]] };
}

function known(): string {
  return `Known are @id, @advice, @${[...termReaders.keys()].join(', @')}.`;
}

function readIdFault(id: string | null | undefined): Fault | undefined {
  if (typeof id === 'string' && idPattern.test(id)) return undefined;
  return {
    near: '@id',
    detail:
      'Give the policy an @id("…") of up to 100 lower-case letters, digits, dots, dashes and underscores.',
  };
}

function readAdviceFault(advice: string | null | undefined): Fault | undefined {
  if (advice === undefined) return undefined;
  const isPlain = advice !== null && advicePattern.test(advice);
  if (isPlain && advice.length <= maxAdviceCharacters) return undefined;
  return {
    near: '@advice',
    detail: `Give @advice("…") up to ${maxAdviceCharacters} characters of plain text.`,
  };
}

function readSeconds(text: string): number | undefined {
  const [, count = '', unit = ''] = /^([1-9][0-9]{0,4})([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * (unitSeconds.get(unit) ?? 0);
  return 1 <= seconds && seconds <= maxSeconds ? seconds : undefined;
}

function readCount(text: string): number | undefined {
  const count = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : 0;
  return 1 <= count && count <= maxConnections ? count : undefined;
}
