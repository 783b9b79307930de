import { findZoneClock, type ZoneClock } from './policy-clock.ts';

/** What the policies of a set compare facts with: where to look for a change. */
export type PolicyWords = {
  /** How many policies there are. */
  readonly count: number;
  /** The attributes of the context that they read. */
  readonly attributes: ReadonlySet<string>;
  readonly groups: readonly string[];
  readonly acrs: readonly string[];
  /** Texts that match what they say about `reason` and `change`. */
  readonly texts: ReadonlyMap<string, readonly string[]>;
  /** Values by the name of the tag; none for a tag that is only asked for. */
  readonly tags: ReadonlyMap<string, readonly string[]>;
  readonly clocks: readonly ZoneClock[];
  /** What they compare `minuteOfDay` and `durationSeconds` with. */
  readonly minutes: readonly number[];
  readonly durations: readonly number[];
  /** Points in time, in seconds since the epoch. */
  readonly instants: readonly number[];
  /** Whether they calculate, so that more numbers matter than they name. */
  readonly isComputed: boolean;
};

/** A node of a policy in Cedar's JSON form. */
type Node = Readonly<Record<string, unknown>>;

const calculations = '+ - * neg offset durationSince toDate toTime'.split(' ');
const comparisons = '== != < <= > >= like contains containsAny containsAll'.split(' ');

/** Collects the words of policies in Cedar's JSON form. */
export function collectWords(policies: readonly unknown[]): PolicyWords {
  const nodes = [...readNodes(policies)];
  const pairs = nodes.flatMap(readComparison);
  const tags = nodes.flatMap((node) => [node['hasTag'], node['getTag']].filter(isNode));
  const zones = tags.filter(({ left }) => readAttribute(left) === 'clock').flatMap(readRight);
  const names = tags.filter(({ left }) => isVariable(left, 'resource')).flatMap(readRight);
  const textsOf = (attribute: string): readonly string[] =>
    distinct(pairs.filter(({ side }) => readAttribute(side) === attribute).flatMap(toTexts));
  return {
    count: policies.length,
    attributes: new Set(nodes.flatMap((node) => readAttribute(node) ?? [])),
    groups: distinct(nodes.flatMap(({ type, id }) => (type === 'Group' ? toText(id) : []))),
    acrs: textsOf('acrs'),
    texts: new Map(['reason', 'change'].map((name) => [name, textsOf(name)])),
    tags: new Map(distinct(names).map((name) => [name, readTagValues(pairs, name)])),
    clocks: distinct(zones).flatMap((zone) => findZoneClock(zone) ?? []),
    minutes: distinct(pairs.filter(({ side }) => isMinute(side)).flatMap(toNumber)),
    durations: distinct(
      pairs.filter(({ side }) => readAttribute(side) === 'durationSeconds').flatMap(toNumber),
    ),
    instants: distinct(nodes.flatMap(readInstant)),
    isComputed: nodes.some((node) => calculations.some((operator) => operator in node)),
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

function isVariable(node: unknown, name: string): boolean {
  return isNode(node) && node['Var'] === name;
}

/** Returns the attribute of the context that a node reads or asks for. */
function readAttribute(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  const access = isNode(node['.']) ? node['.'] : node['has'];
  if (!isNode(access) || !isVariable(access['left'], 'context')) return undefined;
  return typeof access['attr'] === 'string' ? access['attr'] : undefined;
}

/** One side of a comparison, and what it is compared with. */
type Pair = { readonly side: unknown; readonly other: unknown };

function readComparison(node: Node): readonly Pair[] {
  return comparisons
    .map((operator) => node[operator])
    .filter(isNode)
    .flatMap(({ left, right, pattern }) => {
      const other = right ?? pattern;
      return [
        { side: left, other },
        { side: other, other: left },
      ];
    });
}

function readTagValues(pairs: readonly Pair[], name: string): readonly string[] {
  const isOfTag = ({ side }: Pair): boolean =>
    isNode(side) && isNode(side['getTag']) && readRight(side['getTag']).includes(name);
  return distinct(pairs.filter(isOfTag).flatMap(toTexts));
}

/** Returns the texts of a literal or of a set of them, or one that matches a pattern. */
function toTexts({ other }: Pair): readonly string[] {
  if (Array.isArray(other)) return [other.map(fillPatternPart).join('')];
  if (!isNode(other)) return [];
  const elements: unknown = other['Set'];
  const literals: readonly unknown[] = Array.isArray(elements) ? elements : [other];
  return literals.flatMap((literal) => (isNode(literal) ? toText(literal['Value']) : []));
}

function isMinute(side: unknown): boolean {
  return isNode(side) && isNode(side['.']) && side['.']['attr'] === 'minuteOfDay';
}

function toNumber({ other }: Pair): readonly number[] {
  return isNode(other) && typeof other['Value'] === 'number' ? [other['Value']] : [];
}

function fillPatternPart(part: unknown): string {
  return isNode(part) && typeof part['Literal'] === 'string' ? part['Literal'] : '0000';
}

function readRight({ right }: Node): readonly string[] {
  return isNode(right) ? toText(right['Value']) : [];
}

function toText(value: unknown): readonly string[] {
  return typeof value === 'string' ? [value] : [];
}

function readInstant({ datetime }: Node): readonly number[] {
  const words: readonly unknown[] = Array.isArray(datetime) ? datetime : [];
  const [literal] = words;
  const time = isNode(literal) ? Date.parse(String(literal['Value'])) : Number.NaN;
  return Number.isNaN(time) ? [] : [Math.floor(time / 1000)];
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
