import { describe, expect, test } from 'vitest';
import type { CheckpointCopies } from '../../lib/checkpoint-copies.ts';

/** States what every `CheckpointCopies` does. */
export function describeCopies(name: string, open: () => Promise<CheckpointCopies>): void {
  describe(`the copies of checkpoints in ${name}`, () => {
    test('are there as they were added', async () => {
      const copies = await open();
      const text = JSON.stringify({ b: 'é\u{1F600}'.repeat(100_000) });

      expect(await copies.find(1)).toBeUndefined();
      expect(await copies.add(1, text)).toBe('added');
      expect(await copies.find(1)).toBe(text);
      expect(await copies.find(2)).toBeUndefined();
    });

    test('are never replaced, not even by themselves', async () => {
      const copies = await open();
      await copies.add(7, 'one');

      expect(await copies.add(7, 'one')).toBe('exists');
      expect(await copies.add(7, 'other')).toBe('exists');
      expect(await copies.find(7)).toBe('one');
    });

    test('are added once, however many add them', async () => {
      const copies = await open();

      const added = await Promise.all(
        Array.from({ length: 10 }, async (_, i) => copies.add(1, String(i))),
      );

      expect(added.filter((outcome) => outcome === 'added')).toHaveLength(1);
      expect(await copies.find(1)).toBe(String(added.indexOf('added')));
    });
  });
}
