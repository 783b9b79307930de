import { findZoneClock, type ZoneClock } from './policy-clock.ts';
import type { Fault } from './policy-terms.ts';

/** What a policy speaks about, and what is wrong with how it does. */
export type Reading = {
  readonly faults: readonly Fault[];
  /** Only these groups of a caller are sent. */
  readonly groups: readonly string[];
  readonly clocks: readonly (readonly [string, ZoneClock])[];
};

/** A node of a policy in Cedar's JSON form: what it is, over what it is about. */
type Node = Readonly<Record<string, unknown>>;

type IdRule = { readonly pattern: RegExp; readonly expected: string };

const guid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// The broker lowers the case of ASCII letters alone: a name in policy that holds others might look equal and not be.
const lowerCase = /^[\x20-\x40\x5b-\x7e]+$/;

const callerRule = { pattern: /^[^.]+\..+$/, expected: '"<tenant>.<subject>"' };

// Cedar takes any text for an id. One that no entity can have makes a forbid that never forbids.
const idRules = new Map<string, IdRule>([
  ['User', callerRule],
  ['ServicePrincipal', callerRule],
  ['Group', { pattern: /./, expected: 'the group id of the token' }],
  ['VirtualMachine', { pattern: guid, expected: 'the vmId, a GUID' }],
  ['Subscription', { pattern: /^[^/]+$/, expected: 'the id of the subscription alone' }],
  ['ResourceGroup', { pattern: /^[^/]+\/[^/]+$/, expected: '"<subscription>/<resource group>"' }],
  ['Clock', { pattern: /^$/, expected: 'context.clock instead' }],
]);

/** The attributes whose case the broker lowers. */
const loweredAttributes = new Set<unknown>(['app', 'id', 'name', 'os']);

/** Looks for text that can never match, and collects the groups and time zones of a policy in Cedar's JSON form. */
export function lintPolicy(policy: unknown): Reading {
  const nodes = [...readNodes(policy)];
  const tags = nodes.flatMap((node) => [node['hasTag'], node['getTag']].filter(isNode));
  const zones = new Set(tags.filter(isOfClock).flatMap(({ right }) => readText(right) ?? []));
  const clocks = [...zones].map((zone) => [zone, findZoneClock(zone)] as const);
  return {
    faults: [
      ...nodes.flatMap(lintId),
      ...nodes.flatMap(lintLiteral),
      ...nodes.flatMap(lintComparison),
      ...nodes.flatMap(lintSubject),
      ...tags.flatMap(lintTag),
      ...clocks.flatMap(lintClock),
    ],
    groups: nodes.flatMap(({ type, id }) => (type === 'Group' && typeof id === 'string' ? id : [])),
    clocks: clocks.flatMap(([zone, clock]) =>
      clock === undefined ? [] : [[zone, clock] as const],
    ),
  };
}

function* readNodes(value: unknown): Generator<Node, void> {
  if (isNode(value)) yield value;
  if (typeof value !== 'object' || value === null) return;
  for (const child of Object.values(value)) yield* readNodes(child);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readText(literal: unknown): string | undefined {
  return isNode(literal) && typeof literal['Value'] === 'string' ? literal['Value'] : undefined;
}

function lintId({ type, id }: Node): readonly Fault[] {
  if (typeof type !== 'string' || typeof id !== 'string') return [];
  const rule = idRules.get(type);
  if (rule === undefined || (rule.pattern.test(id) && lowerCase.test(id))) return [];
  return [{ near: `"${id}"`, detail: `${type} ids: write ${rule.expected}, in lower case.` }];
}

function lintLiteral(node: Node): readonly Fault[] {
  const text = readText(node) ?? '';
  if (!guid.test(text.toLowerCase()) || lowerCase.test(text)) return [];
  return [{ near: `"${text}"`, detail: 'Write GUIDs in lower case.' }];
}

function isOfClock({ left }: Node): boolean {
  if (!isNode(left) || !isNode(left['.'])) return false;
  const { left: owner, attr } = left['.'];
  return attr === 'clock' && isVariable(owner, 'context');
}

function isVariable(node: unknown, name: string): boolean {
  return isNode(node) && node['Var'] === name;
}

function lintTag(tag: Node): readonly Fault[] {
  const name = readText(tag['right']);
  // A zone or tag that is worked out cannot be checked here, and a zone that is not known here is not sent.
  if (name === undefined) return [{ near: 'Tag(', detail: 'Name the tag with a literal string.' }];
  if (isOfClock(tag)) return [];
  if (!isVariable(tag['left'], 'resource'))
    return [{ near: 'Tag(', detail: 'Ask for tags of resource or of context.clock directly.' }];
  if (lowerCase.test(name)) return [];
  return [
    { near: `"${name}"`, detail: `Write the tag name "${name}" in lower-case ASCII letters.` },
  ];
}

function lintClock([zone, clock]: readonly [string, ZoneClock | undefined]): readonly Fault[] {
  if (clock !== undefined) return [];
  return [
    {
      near: `"${zone}"`,
      detail: `There is no time zone "${zone}": write one like "Europe/Berlin".`,
    },
  ];
}

function lintComparison(node: Node): readonly Fault[] {
  const sides = ['==', '!=', 'like', 'contains'].map((operator) => node[operator]).filter(isNode);
  return sides
    .filter(({ left, right }) => isLowered(left) || isLowered(right))
    .flatMap(({ left, right, pattern }) => [left, right, pattern].flatMap(readLiterals))
    .filter((text) => text !== '' && !lowerCase.test(text))
    .map((text) => ({ near: `"${text}"`, detail: `Write "${text}" in lower-case ASCII letters.` }));
}

function lintSubject(node: Node): readonly Fault[] {
  // Only the caller and the target of a request are sent with their facts: any other entity seems to have none.
  const subjects = ['.', 'has', 'in', 'is'].map((operator) => node[operator]).filter(isNode);
  return subjects
    .filter(({ left }) => isNode(left) && isNode(left['Value']))
    .map(() => ({ detail: 'Ask about principal and resource, not about an entity by its id.' }));
}

function isLowered(side: unknown): boolean {
  return isNode(side) && isNode(side['.']) && loweredAttributes.has(side['.']['attr']);
}

/** Returns the texts of a literal, of a set of literals, or of a pattern. */
function readLiterals(side: unknown): readonly string[] {
  if (Array.isArray(side)) return [side.map(readPatternPart).join('')];
  if (!isNode(side)) return [];
  const elements: unknown = side['Set'];
  const literals: readonly unknown[] = Array.isArray(elements) ? elements : [side];
  return literals.flatMap((literal) => readText(literal) ?? []);
}

function readPatternPart(part: unknown): string {
  return isNode(part) && typeof part['Literal'] === 'string' ? part['Literal'] : '*';
}
