import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { bundleFunctions, bundleProgram } from './bundle.ts';
import { listScripts } from './functions-host.ts';
import { loadApp } from './functions-core.ts';
import { functionsManifest, type ManifestEntry } from './functions-manifest.ts';

// Builds everything that runs outside this repository into dist/: `node local/build.ts`.
process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
try {
  await Promise.all([buildFunctions(), buildGateway(), buildCli()]);
} catch (cause) {
  // esbuild has said already what it did not like.
  const isSaid = cause instanceof Error && 'errors' in cause;
  if (!isSaid) console.error(cause instanceof Error ? cause.message : cause);
  process.exitCode = 1;
}

async function buildFunctions(): Promise<void> {
  const entries = findEntries('functions');
  if (entries.length === 0) throw new Error('No file of functions/ registers a function.');
  await bundleFunctions(entries, 'dist/functions');
  const filter = (source: string): boolean => basename(source) !== 'tests';
  await buildWorkers();
  cpSync('policies', 'dist/functions/policies', { recursive: true, filter });
  await assertFunctions();
  buildPackage();
}

// Policies from outside are read in threads, each of which runs a script of its own. In folders: a script beside the
// functions would be taken for one.
async function buildWorkers(): Promise<void> {
  for (const name of ['policy-worker', 'simulate-worker']) {
    const file = `dist/functions/${name}/main.js`;
    await bundleProgram({ entry: `lib/${name}.ts`, file, target: 'node24', isCommand: false });
  }
}

async function buildGateway(): Promise<void> {
  const file = 'dist/gateway/main.js';
  await bundleProgram({ entry: 'gateway/main.ts', file, target: 'node24', isCommand: false });
}

async function buildCli(): Promise<void> {
  const file = 'dist/cli/main.js';
  await bundleProgram({ entry: 'cli/main.ts', file, target: 'node20', isCommand: true });
  chmodSync(file, 0o755);
}

function findEntries(folder: string): readonly string[] {
  const registration = /\bapp\.(?:http|get|put|post|patch|deleteRequest|timer|hook\.\w+)\(/;
  return readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .filter((file) => registration.test(readFileSync(file, 'utf8')));
}

async function assertFunctions(): Promise<void> {
  const app = await loadApp(listScripts('dist/functions'), () => undefined);
  const built = app.functions.map(toLine);
  const wanted = functionsManifest.map(toLine);
  const missing = wanted.filter((line) => !built.includes(line));
  const extra = built.filter((line) => !wanted.includes(line));
  if (missing.length + extra.length === 0) return;
  throw new Error(
    [
      'The built functions are not those of local/functions-manifest.ts.',
      ...missing.map((line) => `  not built:  ${line}`),
      ...extra.map((line) => `  not listed: ${line}`),
    ].join('\n'),
  );
}

function toLine({ methods = [], name, route = '', schedule = '' }: ManifestEntry): string {
  return [name, [...methods].sort().join(','), route, schedule].filter(Boolean).join(' ');
}

// What is deployed has no dependencies to install: everything is in the bundles.
function buildPackage(): void {
  const facts = z
    .object({ name: z.string(), version: z.string(), type: z.literal('module'), main: z.string() })
    .parse(JSON.parse(readFileSync('package.json', 'utf8')));
  cpSync('dist/functions', 'dist/package/dist/functions', { recursive: true });
  cpSync('host.json', 'dist/package/host.json');
  writeFileSync('dist/package/package.json', `${JSON.stringify(facts, null, 2)}\n`);
}
