import { expect, test } from 'vitest';
import { createProgress } from '../../cli/commands/policy-progress.ts';

test('draws over the bar before it, and removes it in the end', () => {
  const written: string[] = [];
  const show = createProgress({ isTTY: true, write: (text) => written.push(text) });

  show(0.5);
  show(undefined);

  expect(written).toEqual([`\r\u001B[K[${'#'.repeat(15)}${'.'.repeat(15)}] 50 %`, '\r\u001B[K']);
});

test('writes nothing where nobody sees it move', () => {
  const written: string[] = [];

  createProgress({ write: (text) => written.push(text) })(0.5);

  expect(written).toEqual([]);
});
