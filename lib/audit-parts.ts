import type { StoredRow } from './table.ts';

// A string in the table holds 32,000 characters.
const partLength = 30_000;

/** Splits a body that is longer than one string of the table into `b`, `b1`, `b2`… */
export function splitParts(body: string): Readonly<Record<string, string>> {
  const parts: Record<string, string> = {};
  for (let start = 0, count = 0; start < body.length; count += 1) {
    const end = start + partLength;
    // A character outside the basic plane is not cut in two: half of it is no text.
    const part = body.slice(start, isHighSurrogate(body, end - 1) ? end - 1 : end);
    parts[count === 0 ? 'b' : `b${count}`] = part;
    start += part.length;
  }
  return parts;
}

/** Joins the parts of a body in their order, without gaps. */
export function joinParts(values: StoredRow['values']): string {
  let text = '';
  for (let count = 0; ; count += 1) {
    const part = values[count === 0 ? 'b' : `b${count}`];
    if (typeof part !== 'string') return text;
    text += part;
  }
}

function isHighSurrogate(text: string, index: number): boolean {
  return /[\uD800-\uDBFF]/.test(text.charAt(index));
}
