// Control, bidirectional, line-separating and invisible characters, and lone surrogates: with them a text could forge
// the line it stands in, or hide a part of itself.
const deceptive =
  /[\p{Cc}\p{Cs}\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\u{E0000}-\u{E007F}]/gu;

/** Returns the text with each character that could deceive its reader as an escape (`\u202e`). JSON stays the same JSON. */
export function escapeDeceptive(text: string): string {
  return text.replaceAll(deceptive, toEscape);
}

function toEscape(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    const unit = character.charCodeAt(index).toString(16).padStart(4, '0');
    return `\\u${unit}`;
  }).join('');
}
