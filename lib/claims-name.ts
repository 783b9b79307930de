const maxLength = 200;

// Control, bidirectional, line-breaking and lone surrogate characters would let a name rewrite the log around it.
const unsafe =
  /[\p{Cc}\p{Cs}\u061C\u200B\u200E\u200F\u202A-\u202E\u2028\u2029\u2060-\u2069\uFEFF]/gu;

/** Returns a name that is safe to show, at most 200 characters; the id where nothing of the name remains. */
export function toShownName(name: string | undefined, id: string): string {
  const shown = (name ?? '').slice(0, maxLength).replace(unsafe, '').trim();
  return shown === '' ? id : shown;
}
