/**
 * Returns the one text that a JSON value has under the JSON Canonicalization Scheme (RFC 8785). Throws for what JSON
 * cannot hold: undefined, functions, numbers that are not finite, lone surrogates, objects of a class.
 */
export function toCanonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return toText(value);
  if (Array.isArray(value)) return toList(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (isPlain(value)) return toMembers(value);
  throw new Error(`a ${typeof value} that is not a JSON value`);
}

function toList(items: readonly unknown[]): string {
  // `map` would skip a hole in the array; so it is undefined, and refused.
  return `[${Array.from(items).map(toCanonicalJson).join(',')}]`;
}

function toMembers(value: Readonly<Record<string, unknown>>): string {
  const members = Object.keys(value)
    // Without a comparator, `sort` compares UTF-16 code units, as section 3.2.3 demands.
    .sort()
    .map((name) => `${toText(name)}:${toCanonicalJson(value[name])}`);
  return `{${members.join(',')}}`;
}

function toText(text: string): string {
  if (!text.isWellFormed()) throw new Error('a lone surrogate is not JSON text');
  return JSON.stringify(text);
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
