import { createHash } from 'node:crypto';

// Two parts and their separators fit into the 512 characters of a table key.
const maxLength = 200;

/**
 * Encodes any text as a part of a table key: at most 200 characters of `A-Z a-z 0-9 . _ : @ - =`, and never two texts
 * alike. `|` is not among them, so parts can be joined with it.
 */
export function toKey(text: string): string {
  // No escape is a bare `=` or begins with `=h`, so neither form below can be taken for an encoded text.
  if (text === '') return '=';
  const key = text.replace(/[^\w.:@-]/gu, escapeCharacter);
  if (key.length <= maxLength) return key;
  return `=h${createHash('sha256').update(key).digest('base64url')}`;
}

function escapeCharacter(character: string): string {
  // UTF-8 has no form of a lone surrogate (`Buffer` would turn all of them into U+FFFD); `=d8` to `=df` is no byte above.
  if (!character.isWellFormed()) return `=${character.charCodeAt(0).toString(16)}`;
  return Array.from(Buffer.from(character), toEscape).join('');
}

function toEscape(byte: number): string {
  return `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
