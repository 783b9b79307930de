import type * as z from 'zod';

// An object in an object in a list, and so on: a round takes the surplus of every depth at once, mostly.
const maxRounds = 16;

/**
 * Parses a value by a shape, without the members that the shape does not know, at any depth. A later broker may say more
 * than this version of the command understands, while the shapes of `lib/` refuse what nobody knows.
 */
export function parseLoosely<T>(shape: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> {
  let known = value;
  let parsed = shape.safeParse(known);
  for (let round = 0; !parsed.success && round < maxRounds; round += 1) {
    for (const issue of parsed.error.issues)
      if (issue.code === 'unrecognized_keys') known = omit(known, issue.path, issue.keys);
    parsed = shape.safeParse(known);
  }
  return parsed;
}

/** Returns a copy of the value whose part at the path lacks these members. */
function omit(value: unknown, path: readonly PropertyKey[], keys: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const [first, ...rest] = path;
  if (Array.isArray(value))
    return value.map((item: unknown, i) => (i === first ? omit(item, rest, keys) : item));
  const members = Object.entries(value)
    .filter(([name]) => first !== undefined || !keys.includes(name))
    .map(([name, member]): readonly [string, unknown] => [
      name,
      name === first ? omit(member, rest, keys) : member,
    ]);
  return Object.fromEntries(members);
}
