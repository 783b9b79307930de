import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { sessionListShape, whoamiShape } from '../../lib/session-view.ts';
import { portOf } from '../../local/free-port.ts';
import { describeWith } from '../support/programs.ts';
import type { StartEndpoints, StartProcess } from '../support/start-process.ts';
import { listPrograms, readEndpoints, start, waitUntilReady } from '../support/start-process.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const tokenShape = z.object({ access_token: z.string() });
const codesShape = z.object({ device_code: z.string(), user_code: z.string() });

let folder: string;
let started: StartProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-start-'));
  started = [];
});

afterEach(async () => {
  for (const { kill, ended } of started) {
    kill('SIGTERM');
    await ended;
  }
  rmSync(folder, { recursive: true });
});

/** Starts, to be ended with the test. */
function startHere(...args: readonly string[]): StartProcess {
  const run = start(...args);
  started.push(run);
  return run;
}

async function startAndWait(): Promise<StartProcess> {
  const run = startHere('--data', folder);
  await waitUntilReady(run);
  return run;
}

async function post(url: string, form: Record<string, string>): Promise<Response> {
  return fetch(url, { method: 'POST', body: new URLSearchParams(form) });
}

async function getToken({ tokenUrl, scope, callers }: StartEndpoints, name: string) {
  const { clientId: client_id = '', clientSecret: client_secret = '' } = callers[name] ?? {};
  const form = { grant_type: 'client_credentials', client_id, client_secret, scope };
  const answer = await post(tokenUrl, form);
  return tokenShape.parse(await answer.json()).access_token;
}

async function getJson(url: string, token: string): Promise<unknown> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return answer.json();
}

async function isListening(url: string): Promise<boolean> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port) });
  const answer = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return answer;
}

describe('npm start -- --once', () => {
  test('proves itself, prints the audit entries, and leaves what the next start goes on with', async () => {
    const first = startHere('--once', '--data', folder);

    expect(await first.ended).toBe(0);
    const entries = [...first.output().matchAll(/^ +\d+ {2}(\w+\.\w+) +20\d\d-\S+Z$/gm)];
    expect(entries.map(([, type]) => type)).toEqual([
      'session.requested',
      'session.allowed',
      'ticket.issued',
      'ticket.redeemed',
      'connection.opened',
      'connection.closed',
      'session.ended',
    ]);
    expect(readdirSync(folder)).not.toContain('endpoints.json');
    const [, session] = /audit log has of session (\S+):/.exec(first.output()) ?? [];
    const ports = readFileSync(join(folder, 'ports.json'), 'utf8');

    await startAndWait();
    const endpoints = readEndpoints(folder);
    const url = `${endpoints.broker}/api/sessions`;
    const { value } = sessionListShape.parse(await getJson(url, await getToken(endpoints, 'ada')));

    expect(readFileSync(join(folder, 'ports.json'), 'utf8')).toBe(ports);
    expect(value).toHaveLength(2);
    expect(value.map(({ id }) => id)).toContain(session);
  });
});

describe('npm start refuses, with a sentence,', () => {
  test('a port that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = portOf(server.address());
    const run = startHere('--data', folder, '--gateway-port', String(port));

    expect(await run.ended).toBe(1);
    expect(run.output()).toContain(`sallyport: Port ${port} is in use: stop the program`);
    server.close();
  });

  test('a data folder that is not writable', async () => {
    writeFileSync(join(folder, 'file'), '');
    const run = startHere('--once', '--data', join(folder, 'file', 'data'));

    expect(await run.ended).toBe(1);
    expect(run.output()).toMatch(/^sallyport: The data folder .* is not writable/m);
  });

  test('a clock that went back', async () => {
    mkdirSync(join(folder, 'tables'));
    const file = join(folder, 'tables', 'tables.json');
    writeFileSync(file, '');
    const tomorrow = new Date(Date.now() + 86_400_000);
    utimesSync(file, tomorrow, tomorrow);
    const run = startHere('--once', '--data', folder);

    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('sallyport: The clock of this machine went back');
    expect(readdirSync(folder)).not.toContain('lock');
  });

  test('an option that it does not know, and exits with 2', async () => {
    const run = startHere('--nonsense');

    expect(await run.ended).toBe(2);
    expect(run.output()).toBe(
      "sallyport: Unknown option '--nonsense'. The options are those of npm start -- --help.\n",
    );
  });
});

describe('a running start', () => {
  let shared: string;
  let run: StartProcess;
  let endpoints: StartEndpoints;

  beforeAll(async () => {
    // With a space, as on a Mac.
    shared = mkdtempSync(join(tmpdir(), 'sallyport start-'));
    run = start('--data', shared);
    await waitUntilReady(run);
    endpoints = readEndpoints(shared);
  });

  afterAll(async () => {
    run.kill('SIGTERM');
    await run.ended;
    rmSync(shared, { recursive: true });
  });

  test('lets nobody else read endpoints.json, which has the secrets of the callers', () => {
    expect(statSync(join(shared, 'endpoints.json')).mode & 0o777).toBe(0o600);
  });

  test('keeps its data folder to itself', async () => {
    const second = startHere('--once', '--data', shared);

    expect(await second.ended).toBe(1);
    expect(second.output()).toContain(`Process ${run.pid} already uses the data folder`);
    expect(readdirSync(shared)).toContain('endpoints.json');
  });

  test.each([
    ['ada', { kind: 'person', name: 'Ada Operator' }],
    ['grace', { kind: 'person', name: 'Grace Approver' }],
    ['eve', { kind: 'person', name: 'Eve Nobody' }],
    ['pipeline', { kind: 'workload', app: 'pipeline' }],
  ])('gives %s a token by client credentials', async (name, expected) => {
    const token = await getToken(endpoints, name);

    const who = await getJson(`${endpoints.broker}/api/whoami`, token);

    expect(whoamiShape.parse(who)).toMatchObject(expected);
  });

  test('gives ada a token by device code, with plain HTTP alone', async () => {
    const { deviceAuthorizationUrl, deviceUrl, tokenUrl, scope } = endpoints;
    const client_id = 'sallyport-cli';
    const asked = await post(deviceAuthorizationUrl, { client_id, scope });
    const { device_code, user_code } = codesShape.parse(await asked.json());
    await post(deviceUrl, { user_code, caller: 'ada' });

    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
    const granted = await post(tokenUrl, { grant_type, client_id, device_code });

    const { access_token: token } = tokenShape.parse(await granted.json());
    const who = await getJson(`${endpoints.broker}/api/whoami`, token);
    expect(whoamiShape.parse(who)).toMatchObject({ kind: 'person', name: 'Ada Operator' });
  });

  describeWith(['ssh'], 'the commands that it prints', () => {
    test('work as they are, up to a command on the target', async () => {
      const printed = run.output().match(/^(?:export|npx) .+$/gm) ?? [];
      // What npx finds in this folder, without asking npm.
      const npx = `npx() { shift; '${process.execPath}' '${cli}' "$@"; }`;
      const script = ['set -e', npx, `${printed.join('\n')} 'echo on the target'`].join('\n');
      const env = { PATH: process.env['PATH'], XDG_CONFIG_HOME: join(shared, 'config') };

      const { stdout } = await promisify(execFile)('sh', ['-c', script], { env });

      expect(printed).toHaveLength(6);
      expect(stdout).toContain('as Ada Operator');
      expect(stdout).toMatch(/^demo +de300000-/m);
      expect(stdout).toMatch(/^on the target$/m);
    });
  });
});

describe.skipIf(!existsSync('/proc/self/stat'))('the end of a start', () => {
  test('exits with 0 on SIGTERM and leaves no process, lock or endpoints behind', async () => {
    const run = await startAndWait();
    const programs = listPrograms(run.pid);

    run.kill('SIGTERM');

    expect(await run.ended).toBe(0);
    expect([...programs.keys()].sort()).toEqual(['dist/gateway/main.js', 'local/broker.ts']);
    for (const pid of programs.values()) expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(readdirSync(folder)).not.toContain('lock');
    expect(readdirSync(folder)).not.toContain('endpoints.json');
  });

  test('exits with 1 and names the program when one ends by itself', async () => {
    const run = await startAndWait();
    const { broker } = readEndpoints(folder);
    const gateway = listPrograms(run.pid).get('dist/gateway/main.js');

    // Not a number is refused, where zero would be the whole group of processes.
    process.kill(gateway ?? Number.NaN, 'SIGKILL');

    expect(await run.ended).toBe(1);
    expect(run.output()).toMatch(/^sallyport: The program gateway:\d+ ended by itself\./m);
    expect(await isListening(broker)).toBe(false);
  });

  test('takes the programs with it when it is killed', async () => {
    const run = await startAndWait();
    const { broker, gateway } = readEndpoints(folder);

    run.kill('SIGKILL');

    await vi.waitFor(async () => {
      expect(await isListening(broker)).toBe(false);
      expect(await isListening(gateway)).toBe(false);
    }, 5000);
  });
});
