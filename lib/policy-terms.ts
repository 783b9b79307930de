import { isNetwork } from './address.ts';
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
  readonly expected: string;
  readonly read: (text: string) => Partial<Terms> | undefined;
};

const unitSeconds = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3600],
]);
const unitBytes = new Map([
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
]);
const maxSeconds = 24 * 3600;
const maxConnections = 1000;
const maxNetworks = 50;
const time = 'a time from "1s" to "24h"';
const plain = /^[^\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]{1,200}$/u;

// A map, not an object: an object would know the annotation `@constructor`.
const termReaders = new Map<string, TermReader>([
  [
    'max_duration',
    { expected: time, read: toTerm(readSeconds, (n) => ({ maxDurationSeconds: n })) },
  ],
  ['max_idle', { expected: time, read: toTerm(readSeconds, (n) => ({ maxIdleSeconds: n })) }],
  [
    'max_connections',
    {
      expected: 'a number from "1" to "1000"',
      read: toTerm(readCount, (n) => ({ maxConnections: n })),
    },
  ],
  [
    'max_bytes',
    {
      expected: 'an amount such as "500MiB" or "2GiB"',
      read: toTerm(readBytes, (n) => ({ maxBytes: n })),
    },
  ],
  [
    'source_networks',
    {
      expected: 'up to 50 networks such as "10.1.0.0/16, 2001:db8::/32"',
      read: toTerm(readNetworks, (networks) => ({ sourceNetworks: networks })),
    },
  ],
  [
    'require_acr',
    {
      expected: 'an authentication context such as "c1"',
      read: toTerm(readAcr, (acr) => ({ acr })),
    },
  ],
  [
    'require_reason',
    {
      expected: 'a form such as "*" or "INC-*"',
      read: toTerm(readPattern, (reasonPattern) => ({ reasonPattern })),
    },
  ],
  [
    'require_change',
    {
      expected: 'a form such as "*" or "CHG*"',
      read: toTerm(readPattern, (changePattern) => ({ changePattern })),
    },
  ],
  [
    'require_approval',
    {
      expected: 'a group id in lower case, or a number of its members: "2 of <group id>"',
      read: toTerm(readApproval, (approval) => ({ approval })),
    },
  ],
  [
    'profile',
    {
      expected: 'a name of up to 40 lower-case letters, digits and hyphens',
      read: toTerm(readProfile, (profile) => ({ profile })),
    },
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
  const terms = termsShape.parse(Object.assign({}, ...readings.map((reading) => reading.terms)));
  return {
    rule: { id: id ?? '', effect, terms, ...(typeof advice === 'string' ? { advice } : {}) },
    faults: faults.filter((fault) => fault !== undefined),
  };
}

/**
 * Orders offers, best first: the one that allows the longest, then most connections, the longest idle time, the most
 * bytes, any network before some, then by id. An absent term does not limit.
 */
export function compareOffers(a: Rule, b: Rule): number {
  return (
    compareLimits(a.terms.maxDurationSeconds, b.terms.maxDurationSeconds) ||
    compareLimits(a.terms.maxConnections, b.terms.maxConnections) ||
    compareLimits(a.terms.maxIdleSeconds, b.terms.maxIdleSeconds) ||
    compareLimits(a.terms.maxBytes, b.terms.maxBytes) ||
    Number(a.terms.sourceNetworks !== undefined) - Number(b.terms.sourceNetworks !== undefined) ||
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
): { readonly terms?: Partial<Terms>; readonly fault?: Fault } {
  const near = `@${key}`;
  const reader = termReaders.get(key);
  // An annotation that is not understood may be meant to limit: Cedar would ignore it.
  if (reader === undefined) return { fault: { near, detail: `@${key} is not known. ${known()}` } };
  if (effect === 'forbid')
    return { fault: { near, detail: `A forbid has no terms: remove @${key}.` } };
  const terms = reader.read(value ?? '');
  if (terms === undefined)
    return { fault: { near, detail: `Give @${key} ${reader.expected}, in quotes.` } };
  return { terms };
}

function toTerm<T>(
  read: (text: string) => T | undefined,
  make: (value: T) => Partial<Terms>,
): TermReader['read'] {
  return (text) => {
    const value = read(text);
    return value === undefined ? undefined : make(value);
  };
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

function readBytes(text: string): number | undefined {
  const [, count = '', unit = ''] = /^([1-9][0-9]{0,5})([KMG]iB)$/.exec(text) ?? [];
  const bytes = Number(count) * (unitBytes.get(unit) ?? 0);
  return 0 < bytes ? bytes : undefined;
}

function readNetworks(text: string): string[] | undefined {
  const networks = text.split(',').map((network) => network.trim());
  if (maxNetworks < networks.length) return undefined;
  return networks.every(isNetwork) ? networks : undefined;
}

function readAcr(text: string): string | undefined {
  return /^[A-Za-z0-9:/._-]{1,100}$/.test(text) ? text : undefined;
}

function readPattern(text: string): string | undefined {
  return plain.test(text) ? text : undefined;
}

function readApproval(text: string): NonNullable<Terms['approval']> | undefined {
  const [, count = '1', group = ''] =
    /^(?:([1-9]) of )?([\x21-\x40\x5b-\x7e]{1,200})$/.exec(text) ?? [];
  return group === '' ? undefined : { group, count: Number(count) };
}

function readProfile(text: string): string | undefined {
  return /^[a-z][a-z0-9-]{0,39}$/.test(text) ? text : undefined;
}
