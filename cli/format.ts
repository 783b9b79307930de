/** Returns the rows below their heading, in columns as wide as their widest cell. */
export function formatTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const lines = [heading, ...rows];
  const widths = heading.map((_, column) =>
    Math.max(...lines.map((cells) => (cells[column] ?? '').length)),
  );
  return lines.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

const units = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Returns a number of bytes for people, with one decimal from 1 KiB on. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1] ?? ''}`;
}

/** Returns the time of day here, such as 14:03:07. */
export function formatTime(time: Date): string {
  return time.toTimeString().slice(0, 8);
}

/** Returns a duration such as 1h30m, as `parseDuration` reads it. */
export function formatDuration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const;
  const text = parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('');
  return text === '' ? '0s' : text;
}

// White space, control and format characters, and letters that show nothing: with enough of them a line wraps where its
// author likes.
const blank = /[\s\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115F\u1160\u2800\u3164\uFFA0]+/gu;

/** Returns the text of somebody else in quotes, with single blanks: it cannot pass for a column or a line of ours. */
export function quote(text: string): string {
  return `"${text.replaceAll(blank, ' ').replaceAll('"', "'")}"`;
}
