import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadApp } from '../../local/functions-core.ts';
import { listScripts } from '../../local/functions-host.ts';

// Loads the app in a fresh process, from its bundles or from the same sources, and says how long that took:
// `node test/bench/load-app.ts [--sources]`.
const { values } = parseArgs({ options: { sources: { type: 'boolean', default: false } } });
const root = fileURLToPath(new URL('../..', import.meta.url));
const bundles = listScripts(`${root}dist/functions`);
const sources = bundles.map((file) => `${root}functions/${basename(file, '.js')}.ts`);

const startedAt = performance.now();
const { functions } = await loadApp(values.sources ? sources : bundles, () => undefined);
const milliseconds = performance.now() - startedAt;
process.stdout.write(JSON.stringify({ functions: functions.length, milliseconds }));
