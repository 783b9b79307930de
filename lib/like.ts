/**
 * Whether the whole text matches the pattern, in which `*` stands for any text, as in Cedar's `like`. Takes time in
 * proportion to the product of the lengths at worst: a pattern cannot be made to run away.
 */
export function isLike(text: string, pattern: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at + last.length <= text.length && text.endsWith(last);
}
