import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as z from 'zod';
import { functionsManifest } from '../../local/functions-manifest.ts';
import { getLive, parseGranted, putSession } from './api.ts';
import type { BenchStack } from './bench-stack.ts';
import type { Effort } from './effort.ts';
import type { Figure, Part } from './figure.ts';
import { toFigure } from './figure.ts';

const run = promisify(execFile);
const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const loader = fileURLToPath(new URL('load-app.ts', import.meta.url));

const loadedShape = z.strictObject({
  functions: z.literal(functionsManifest.length),
  milliseconds: z.number(),
});

/** What one repetition took, in milliseconds. */
type Start = {
  readonly node: number;
  readonly bundles: number;
  readonly sources: number;
  readonly listening: number;
  readonly answer: number;
  readonly session: number;
};

/** Measures how long a fresh process needs to load the app, to answer, and to grant a session. */
export async function measureColdStart(
  bench: BenchStack,
  { coldStarts }: Effort,
): Promise<readonly Part[]> {
  const starts: Start[] = [];
  for (let i = 0; i < coldStarts; i += 1)
    starts.push({
      node: await timeNode(),
      bundles: await loadFunctions([]),
      sources: await loadFunctions(['--sources']),
      ...(await startBroker(bench)),
    });
  return [toStartPart(starts), measureSizes()];
}

async function timeNode(): Promise<number> {
  const startedAt = performance.now();
  await run(process.execPath, ['--eval', '']);
  return performance.now() - startedAt;
}

async function loadFunctions(flags: readonly string[]): Promise<number> {
  const { stdout } = await run(process.execPath, [loader, ...flags]);
  return loadedShape.parse(JSON.parse(stdout)).milliseconds;
}

async function startBroker(
  bench: BenchStack,
): Promise<Pick<Start, 'listening' | 'answer' | 'session'>> {
  const agent = new Agent({ keepAlive: true });
  const startedAt = performance.now();
  const broker = await bench.startBroker();
  try {
    const listening = performance.now() - startedAt;
    const { status, body } = await getLive(broker.url, agent);
    const answer = performance.now() - startedAt;
    if (status !== 200) throw new Error(`the new broker is not alive: ${body}`);
    const [token = ''] = bench.tokens;
    const granted = parseGranted(await putSession(broker.url, agent, { token, wish: bench.wish }));
    const session = performance.now() - startedAt;
    bench.granted.push(granted.id);
    return { listening, answer, session };
  } finally {
    agent.destroy();
    await broker.stop();
  }
}

function toStartPart(starts: readonly Start[]): Part {
  const toStart = (key: keyof Start, name: string, base?: Figure): Figure =>
    toFigure(
      { name, unit: 'ms', ...(base === undefined ? {} : { base }) },
      starts.map((start) => start[key]),
    );
  const node = toStart('node', 'Node.js alone, start to end');
  const bundles = toStart('bundles', 'load of the bundles');
  return {
    title: 'Cold start of the broker, each time in a fresh process',
    figures: [
      node,
      bundles,
      toStart('sources', 'load of the same sources, unbundled', bundles),
      toStart('listening', 'start to listening', node),
      toStart('answer', 'start to the first answer of /api/health/live', node),
      toStart('session', 'start to the first session granted', node),
    ],
    notes: [],
  };
}

function measureSizes(): Part {
  const toSize = (name: string, files: readonly string[]): Figure => {
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    return toFigure({ name, unit: 'kB' }, [bytes / 1000]);
  };
  const functions = listFiles(join(dist, 'functions'));
  const isEngine = (file: string): boolean => file.includes('node_modules');
  const scripts = functions.filter((file) => !isEngine(file) && file.endsWith('.js'));
  return {
    title: 'Sizes of what the build makes, unpacked and not minified',
    figures: [
      toSize('functions: bundles', scripts),
      toSize('functions: policy engine (WebAssembly)', functions.filter(isEngine)),
      toSize('gateway', [join(dist, 'gateway/main.js')]),
      toSize('command line', [join(dist, 'cli/main.js')]),
    ],
    notes: [],
  };
}

function listFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
