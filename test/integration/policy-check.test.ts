import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCaseFolder, readPolicyFolder } from '../../lib/file/policy-folder.ts';
import { checkIsolated } from '../../lib/policy-isolation.ts';
import { policySchema } from '../../lib/policy-schema.ts';

const sound = '@id("a") permit (principal, action, resource);\n';
const worker = new URL('../../lib/policy-worker.ts', import.meta.url);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-policy-'));
});
afterAll(async () => rm(folder, { recursive: true }));

async function writeTree(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const root = join(folder, name);
  await mkdir(join(root, 'tests'), { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(root, file), text);
  return root;
}

type Run = { readonly code: number | null; readonly output: readonly string[] };

async function checkFolder(path: string): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['cli/check-policies.ts', path],
      (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, output: `${stderr}${stdout}`.trimEnd().split('\n') });
      },
    );
  });
}

describe('policies:check', () => {
  test('passes the policies that are shipped, and runs every test of them', async () => {
    const texts = (await readPolicyFolder('policies')).map(({ text }) => text).join('\n');
    const cases = (await readCaseFolder('policies/tests')).map(({ text }) => text).join('\n');
    const policies = texts.match(/^@id\(/gm)?.length;
    const tests = cases.match(/"name":/g)?.length;

    expect(await checkFolder('policies')).toEqual({
      code: 0,
      output: [`${policies} policies, ${tests} tests, 0 failed`],
    });
    expect(await readFile('policies/sallyport.cedarschema', 'utf8')).toBe(policySchema);
  });

  test('passes every policy of the manual, together in one set', async () => {
    const manual = await readFile('docs/policy.md', 'utf8');
    const policies = [...manual.matchAll(/^```cedar\n(.*?)^```/gms)].map(([, text]) => text);
    const path = await writeTree('manual', {
      'a.cedar': policies.join('\n'),
      'tests/a.json': '[]',
    });

    expect(policies.length).toBeGreaterThan(8);
    expect((await checkFolder(path)).output).toEqual([
      expect.stringMatching(/^[0-9]+ policies, 0 tests, 0 failed$/),
    ]);
  });

  test('names file and line of each fault, runs no test, and exits with 1', async () => {
    const path = await writeTree('faulty', {
      'a.cedar': `${sound}\n@id("b")\n@max_time("1h")\npermit (principal, action, resource);\n`,
      'b.cedar': '@id("c") permit (principal, action, resource) when { context.prt == 1 };',
      'tests/a.json': '[]',
      'sallyport.cedarschema': `${policySchema}entity Robot;\n`,
    });

    expect(await checkFolder(path)).toEqual({
      code: 1,
      output: [
        expect.stringMatching(/\/sallyport\.cedarschema:1: .*put it back/),
        expect.stringMatching(/\/a\.cedar:4: @max_time is not known/),
        expect.stringMatching(/\/b\.cedar:1: attribute `prt`/),
        '3 policies, 0 tests, 3 failed',
      ],
    });
  });

  test('names file and line of a test that does not decide as it expects', async () => {
    const path = await writeTree('wrong', {
      'a.cedar': sound,
      'tests/a.json': '[\n{ "name": "closed", "expect": { "outcome": "deny" } }\n]',
    });

    expect(await checkFolder(path)).toEqual({
      code: 1,
      output: [
        expect.stringMatching(/\/tests\/a\.json:2: closed: outcome is "allow"/),
        '1 policies, 1 tests, 1 failed',
      ],
    });
  });

  test('fails for a folder without policies, and for one that is not there', async () => {
    expect(await checkFolder(await writeTree('empty', {}))).toMatchObject({ code: 1 });
    expect(await checkFolder(join(folder, 'nowhere'))).toMatchObject({ code: 1 });
  });
});

describe('checkIsolated', () => {
  const files = [{ name: 'a.cedar', text: sound }];
  const signal = AbortSignal.timeout(60_000);

  test('finds nothing in a sound set, and what is wrong in another', async () => {
    const faulty = [{ name: 'a.cedar', text: 'permit (principal, action, resource);' }];

    expect(await checkIsolated(files, { worker, signal })).toEqual([]);
    expect(await checkIsolated(faulty, { worker, signal })).toMatchObject([{ file: 'a.cedar' }]);
  });

  test('shows the worker nothing beyond the limits', async () => {
    const bomb = [{ name: 'a.cedar', text: `permit ${'('.repeat(200)}` }];
    const nowhere = new URL('file:///nowhere.ts');

    const [finding] = await checkIsolated(bomb, { worker: nowhere, signal });

    expect(finding?.detail).toContain('split');
  });

  test.each([
    ['breaks', 'throw new Error("broken");'],
    ['runs out of memory', 'const all = []; for (;;) all.push(new Array(1e5).fill(all.length));'],
    ['ends without an answer', ''],
    [
      'answers something else',
      'import("node:worker_threads").then((w) => w.parentPort.postMessage(1));',
    ],
  ])('finds that a worker %s', async (name, script) => {
    const file = join(folder, `${name}.mjs`);
    await writeFile(file, script);

    expect(await checkIsolated(files, { worker: pathToFileURL(file), signal })).toHaveLength(1);
  });

  test('stops a worker that does not come to an end', async () => {
    const file = join(folder, 'endless.mjs');
    await writeFile(file, 'for (;;);');
    const soon = { worker: pathToFileURL(file), signal: AbortSignal.timeout(200) };

    expect(await checkIsolated(files, soon)).toHaveLength(1);
  });

  // As the deployed app has it: one script, and the engine's package beside it.
  test('works from a bundle', async () => {
    const outfile = join(folder, 'bundle', 'policy-worker.js');
    await build({
      entryPoints: ['lib/policy-worker.ts'],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
    });
    const engine = 'node_modules/@cedar-policy/cedar-wasm';
    for (const part of ['package.json', 'nodejs'])
      await cp(join(engine, part), join(folder, 'bundle', engine, part), { recursive: true });

    const bundled = { worker: pathToFileURL(outfile), signal };
    expect(await checkIsolated(files, bundled)).toEqual([]);
  });
});
