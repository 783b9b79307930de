import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readPolicyFolder } from '../../lib/file/policy-folder.ts';
import { readBundle } from '../../lib/policy-bundle.ts';
import { parsePointer } from '../../lib/policy-pointer.ts';
import { Cli } from '../support/cli-process.ts';
import { decide, followPolicy } from '../support/follow-policy.ts';

let root: string;
let folder: string;
let out: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sallyport-bundle-'));
  folder = mkdtempSync(join(root, 'policies-'));
  out = join(root, 'out');
  writeFileSync(join(folder, 'a.cedar'), '@id("a") permit (principal, action, resource);\n');
});

afterEach(() => rmSync(root, { recursive: true }));

async function run(...words: readonly string[]) {
  return new Cli({ SALLYPORT_CONFIG_DIR: join(root, 'config') }).run('policy', 'bundle', ...words);
}

describe('sallyport policy bundle', () => {
  test('writes what a broker takes, and says how to upload it', async () => {
    const { exitCode, stdout } = await run(folder, '--out', out, '--by', 'ada', '--note', 'CHG1');

    const [digest = '', , , bundleFirst, pointerLast] = stdout.split('\n');
    const pointer = readFileSync(join(out, 'current'), 'utf8');
    const bundle = readFileSync(join(out, 'bundles', `${digest}.json`), 'utf8');
    expect(exitCode).toBe(0);
    expect(parsePointer(pointer)).toEqual({ digest, publishedBy: 'ada', note: 'CHG1' });
    expect(readBundle(bundle, digest)).toEqual(await readPolicyFolder(folder));
    expect(bundleFirst).toContain('upload-batch');
    expect(pointerLast).toContain('--name current');

    const { current, store } = followPolicy();
    await store.write(`bundles/${digest}.json`, bundle);
    await store.write('current', pointer);
    await current.refresh();
    expect([decide(current), current.policy.digest]).toEqual(['allow', digest]);
  });

  test('prints the digest alone with --json', async () => {
    const { stdout } = await run(folder, '--out', out, '--json');

    expect(JSON.parse(stdout)).toEqual({
      digest: parsePointer(readFileSync(join(out, 'current'), 'utf8')).digest,
    });
  });

  test('writes nothing when something is to be repaired', async () => {
    const file = join(folder, 'b.cedar');
    writeFileSync(file, 'permit (principal, action, resource);\n');

    const { exitCode, stderr } = await run(folder, '--out', out);

    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${file}:1: `);
    expect(readdirSync(root)).not.toContain('out');
  });

  test.each([
    ['a note with a line break', ['--note', 'a\nb'], 'plain text'],
    ['a folder that is a file', ['--out', '/dev/null'], 'cannot be written'],
    ['no folder to write to', [], '--out'],
  ])('exits with 2 for %s', async (_fault, words, sentence) => {
    const where = words[0] === '--note' ? ['--out', out] : [];

    const { exitCode, stderr } = await run(folder, ...where, ...words);

    expect(exitCode).toBe(2);
    expect(stderr).toContain(sentence);
  });
});
