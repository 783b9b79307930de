import { describe, expect, test } from 'vitest';
import { bundleBytes } from '../../lib/policy-bundle.ts';
import type { PolicyStore } from './policy-store.ts';

/** States what every `PolicySource` does. `open` gives a store with nothing in it. */
export function describePolicySource(name: string, open: () => Promise<PolicyStore>): void {
  describe(`the policy source that ${name} gives`, () => {
    test('reads pointer and bundle as they were written', async () => {
      const { source, write } = await open();
      const text = `Ünïcode \u{1F600}\r\n${'x'.repeat(bundleBytes / 2)}`;
      await write('current', text.slice(0, 20));
      await write('bundles/abc.json', text);

      expect(await source.readPointer()).toMatchObject({ text: text.slice(0, 20) });
      expect(await source.readBundle('abc')).toBe(text);
    });

    test('answers a pointer that still is the version named with unchanged', async () => {
      const { source, write } = await open();
      await write('current', 'one');
      const first = await source.readPointer();
      const etag = first === 'unchanged' ? '' : first.etag;

      expect(await source.readPointer(etag)).toBe('unchanged');
      await write('current', 'two');
      expect(await source.readPointer(etag)).toMatchObject({ text: 'two' });
    });

    // Else a set that is published again after another one would go unseen.
    test('gives every write of the pointer a version of its own, whatever is written', async () => {
      const { source, write } = await open();
      await write('current', 'same');
      const first = await source.readPointer();
      await write('current', 'same');
      const second = await source.readPointer();

      expect(second).toMatchObject({ text: 'same' });
      expect(second).not.toEqual(first);
    });

    test('fails for what is not there, and for what has gone', async () => {
      const { source, write, remove } = await open();
      await write('current', 'one');
      const first = await source.readPointer();
      const etag = first === 'unchanged' ? '' : first.etag;
      await remove('current');

      await expect(source.readPointer()).rejects.toThrow('current');
      await expect(source.readPointer(etag)).rejects.toThrow('current');
      await expect(source.readBundle('absent')).rejects.toThrow('absent');
    });
  });
}
