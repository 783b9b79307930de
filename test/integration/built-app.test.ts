import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { operations } from '../../lib/openapi.ts';
import { functionsManifest } from '../../local/functions-manifest.ts';
import type { FunctionsHost } from '../../local/functions-host.ts';
import { startFunctionsHost } from '../../local/functions-host.ts';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

describe('what the build makes', () => {
  let host: FunctionsHost;

  beforeAll(async () => {
    host = await startFunctionsHost({
      scripts: `${dist}/package/dist/functions`,
      host: '127.0.0.1',
      port: 0,
      log: () => undefined,
    });
  });

  afterAll(async () => {
    await host.close();
  });

  // A wrong glob or an entry that throws gives an app without functions, and no failure.
  test('the package registers exactly the functions of the manifest', () => {
    const registered = host.functions.map(({ name, route, type }) => ({ name, route, type }));
    const wanted = functionsManifest.map(({ name, route = '', schedule }) => ({
      name,
      route,
      type: schedule === undefined ? 'http' : 'timer',
    }));

    expect(registered).toEqual(wanted.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  });

  test('every path of the OpenAPI document is a route of the package, and the other way round', () => {
    const routes = host.functions.flatMap(({ type, route }) =>
      type === 'http' ? [`/${route}`] : [],
    );
    const paths = new Set(operations.map(({ path }) => path));

    expect(routes.toSorted()).toEqual([...paths].toSorted());
  });

  test('the package has no dependencies to install, and the settings of the host', () => {
    const read = (name: string) =>
      z
        .record(z.string(), z.unknown())
        .parse(JSON.parse(readFileSync(`${dist}/package/${name}`, 'utf8')));

    expect(Object.keys(read('package.json'))).toEqual(['name', 'version', 'type', 'main']);
    expect(read('package.json')['main']).toBe('dist/functions/*.js');
    expect(read('host.json')).toMatchObject({ extensions: { http: { routePrefix: '' } } });
  });

  test('the gateway and the command are one file each', () => {
    expect(readdirSync(`${dist}/gateway`)).toEqual(['main.js']);
    expect(readdirSync(`${dist}/cli`)).toEqual(['main.js']);
  });

  // Threat 26: a gateway that is taken over holds no code that could reach storage or ARM.
  test('the bundle of the gateway holds no Azure code', () => {
    const text = readFileSync(`${dist}/gateway/main.js`, 'utf8');

    expect(text).not.toMatch(/@azure\/|table\.core\.windows|management\.azure\.com|vault\.azure/);
  });
});

describe('a real HTTP request', () => {
  let host: FunctionsHost;

  // Without settings nothing can be granted, but what is refused before they are needed is refused all the same.
  beforeAll(async () => {
    vi.spyOn(console, 'log').mockImplementation(() => undefined);
    host = await startFunctionsHost({
      scripts: `${dist}/functions`,
      host: '127.0.0.1',
      port: 0,
      log: () => undefined,
    });
  });

  afterAll(async () => {
    vi.restoreAllMocks();
    await host.close();
  });

  test('405 with Allow for a method that a resource has not, 404 for a path that is none', async () => {
    const wrong = await fetch(`${host.url}/api/whoami`, { method: 'DELETE' });
    const none = await fetch(`${host.url}/api/nothing`);

    expect([wrong.status, wrong.headers.get('allow'), none.status]).toEqual([405, 'GET', 404]);
  });

  test('500 without a word while the settings are missing', async () => {
    const answer = await fetch(`${host.url}/api/health/live`);

    expect([answer.status, await answer.text()]).toEqual([500, '']);
  });
});
