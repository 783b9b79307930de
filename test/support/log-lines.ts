import { afterEach, beforeEach, vi } from 'vitest';

/** Collects what is logged during each test of a file, and keeps it off the screen. */
export function collectLogLines(): readonly string[] {
  const lines: string[] = [];
  beforeEach(() => {
    lines.length = 0;
    vi.spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(String(line)));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return lines;
}
