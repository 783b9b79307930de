import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type BuildOptions } from 'esbuild';

const engine = '@cedar-policy/cedar-wasm';

// Bundled CommonJS packages ask for the three names that an ES module does not have.
const commonJsNames = [
  "import { createRequire as sallyportCreateRequire } from 'node:module';",
  "import { dirname as sallyportDirname } from 'node:path';",
  "import { fileURLToPath as sallyportFileURLToPath } from 'node:url';",
  'const require = sallyportCreateRequire(import.meta.url);',
  'const sallyportFile = sallyportFileURLToPath(import.meta.url);',
  'const sallyportFolder = sallyportDirname(sallyportFile);',
].join('\n');

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
  // Under names of our own, since some ES modules declare these themselves. What they declare is left alone.
  define: { __filename: 'sallyportFile', __dirname: 'sallyportFolder' },
  // The Azure worker supplies the first. The second is evaluated anew when a policy has broken it,
  // which an inlined script cannot be. Native parts are optional for those that ask for them.
  external: ['@azure/functions-core', engine, '*.node'],
};

/** Bundles the function files, one script each with what they share in `chunks/`, as Azure loads them. */
export async function bundleFunctions(entries: readonly string[], folder: string): Promise<void> {
  await build({
    ...common,
    entryPoints: [...entries],
    outdir: folder,
    target: 'node24',
    splitting: true,
    // Outside the `main` glob of the package: the host would take a chunk for an entry.
    chunkNames: 'chunks/[name]-[hash]',
    banner: { js: commonJsNames },
  });
  await copyEngine(join(folder, 'node_modules', engine));
}

/** Bundles a program into one file. Only the policy engine stays an installed package. */
export async function bundleProgram(options: {
  readonly entry: string;
  readonly file: string;
  readonly target: 'node20' | 'node24';
  readonly isCommand: boolean;
}): Promise<void> {
  await build({
    ...common,
    entryPoints: [options.entry],
    outfile: options.file,
    target: options.target,
    banner: { js: options.isCommand ? `#!/usr/bin/env node\n${commonJsNames}` : commonJsNames },
  });
}

// The deployed package has no installed packages, so the engine comes with the scripts.
async function copyEngine(folder: string): Promise<void> {
  for (const part of ['package.json', 'nodejs']) {
    await cp(join('node_modules', engine, part), join(folder, part), { recursive: true });
  }
}
