import { describe, expect, test } from 'vitest';
import { readBundle, writeBundle } from '../../lib/policy-bundle.ts';
import { toDigest } from '../../lib/policy-digest.ts';
import { parsePointer, writePointer } from '../../lib/policy-pointer.ts';
import { loadPolicyText } from '../support/policies.ts';
import { changeMembers, toFiles } from '../support/policy-store.ts';

const text = '@id("a") permit (principal, action, resource);\n';
const files = [
  { name: 'b.cedar', text: '// second\r\n' },
  { name: 'a.cedar', text },
];

describe('a bundle', () => {
  test('is named as decisions name the set', () => {
    const policy = loadPolicyText(text);

    expect(writeBundle(toFiles(text)).digest).toBe(policy.digest);
  });

  test('gives back its files under its name', () => {
    const { digest, text: bundle } = writeBundle(files);

    expect(readBundle(bundle, digest)).toEqual([
      { name: 'a.cedar', text },
      { name: 'b.cedar', text: '// second\n' },
    ]);
  });

  test('is the same whatever the order of the files and the ends of their lines', () => {
    const other = files.map((file) => ({ ...file, text: file.text.replace(/\r?\n/, '\r\n') }));

    expect(writeBundle(other.toReversed())).toEqual(writeBundle(files));
  });

  // An older bundle must stay readable when a later version of the broker knows more words.
  test('made with another vocabulary is still known by its name, and by no other', () => {
    const { text: bundle } = writeBundle(files);
    const older = changeMembers(bundle, { vocabulary: 'entity User;' });

    expect(readBundle(older, toDigest(files, 'entity User;'))).toHaveLength(2);
    expect(readBundle(older, writeBundle(files).digest)).toBeUndefined();
  });

  const { digest, text: bundle } = writeBundle(files);

  test.each([
    ['a policy changed', bundle.replace('permit', 'forbid')],
    ['a name changed', bundle.replace('b.cedar', 'c.cedar')],
    ['a file gone', changeMembers(bundle, { files: files.slice(1) })],
    ['the vocabulary changed', bundle.replace('entity', 'Entity')],
    ['a further member', bundle.replace('{', '{"more":1,')],
    ['another version', bundle.replace('"v":1', '"v":2')],
    ['an end missing', bundle.slice(0, -1)],
    ['nothing in it', ''],
    ['no object', 'null'],
  ])('with %s is not the one that its name says', (_change, changed) => {
    expect(readBundle(bundle, digest)).toHaveLength(2);
    expect(readBundle(changed, digest)).toBeUndefined();
  });
});

describe('a pointer', () => {
  const { digest } = writeBundle(files);

  test('says what was written', () => {
    const pointer = { digest, publishedBy: 'release pipeline 12', note: 'CHG0012345' };

    expect(parsePointer(writePointer(pointer))).toEqual(pointer);
    expect(parsePointer(writePointer({ digest }))).toEqual({ digest });
  });

  test.each([
    ['empty text', ''],
    ['without a version', JSON.stringify({ digest })],
    ['of another version', JSON.stringify({ v: 2, digest })],
    ['to another blob', JSON.stringify({ v: 1, digest: '../current' })],
    ['to a path', JSON.stringify({ v: 1, digest: `${digest.slice(1)}/` })],
    ['with a line break', JSON.stringify({ v: 1, digest, publishedBy: 'ada\nroot' })],
    ['with text that runs backwards', JSON.stringify({ v: 1, digest, note: '\u202e' })],
    ['with a long note', JSON.stringify({ v: 1, digest, note: 'x'.repeat(501) })],
    ['with a further member', JSON.stringify({ v: 1, digest, more: 1 })],
  ])('%s is none', (_fault, other) => {
    expect(() => parsePointer(other)).toThrow('the pointer is malformed');
  });
});
