import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bundleFunctions } from '../../local/bundle.ts';
import { startFunctionsHost, type FunctionsHost } from '../../local/functions-host.ts';

const library = fileURLToPath(new URL('../../node_modules/@azure/functions', import.meta.url));

const sample = `
import { app } from ${JSON.stringify(library)};
let runs = 0;
let running = 0;
const seen = [];
app.put('echo', {
  route: 'api/echo/{id}',
  authLevel: 'anonymous',
  handler: async (request, context) => {
    context.log('hello from', request.params.id);
    return {
      status: 201,
      headers: { 'x-sample': 'yes' },
      jsonBody: {
        id: request.params.id,
        query: Object.fromEntries(request.query),
        custom: request.headers.get('x-custom'),
        forwarded: request.headers.get('x-forwarded-for'),
        body: await request.text(),
      },
    };
  },
});
app.post('bytes', {
  route: 'api/bytes',
  handler: async (request) => ({ body: new Uint8Array(await request.arrayBuffer()) }),
});
app.get('b-second', { route: 'api/same/{any}', handler: () => ({ body: 'second' }) });
app.get('a-first', { route: 'api/same/one', handler: () => ({ body: 'first' }) });
app.get('throws', { route: 'api/throws', handler: () => { throw new Error('a planted fault'); } });
app.get('nothing', { route: 'api/nothing', handler: () => undefined });
app.get('waits', { route: 'api/waits', handler: () => new Promise((done) => { seen.push(done); }) });
app.get('release', { route: 'api/release', handler: () => {
  for (const done of seen.splice(0)) done({ body: 'released' });
  return { body: 'ok' };
} });
app.get('runs', { route: 'api/runs', handler: () => ({ jsonBody: { runs } }) });
app.timer('sealer', {
  schedule: '0 0 0 1 1 *',
  handler: async (timer) => {
    running += 1;
    if (running > 1) throw new Error('it overlaps itself');
    await new Promise((done) => setImmediate(done));
    if (typeof timer.isPastDue !== 'boolean' || !timer.scheduleStatus.next) throw new Error('no status');
    runs += 1;
    running -= 1;
  },
});
`;

const endingSample = `
import { app } from ${JSON.stringify(library)};
app.get('last', { route: 'last', handler: () => new Promise((done) => {
  globalThis.sampleEvents.once('release', () => done({ body: 'the last answer' }));
  globalThis.sampleEvents.emit('waits');
}) });
app.hook.appTerminate(() => { globalThis.sampleEvents.emit('terminated'); });
`;

const tickingSample = `
import { app } from ${JSON.stringify(library)};
app.timer('ticks', { schedule: '* * * * * *', handler: () => { globalThis.sampleEvents.emit('tick'); } });
`;

// The samples share this process, so they can tell the tests what happens in them.
const events = new EventEmitter();
Reflect.set(globalThis, 'sampleEvents', events);

describe('the functions host', () => {
  const lines: string[] = [];
  let folder: string;
  let host: FunctionsHost;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-host-'));
    const scripts = await bundleSample(folder, 'sample', sample);
    host = await startFunctionsHost({
      scripts,
      host: '127.0.0.1',
      port: 0,
      log: (line) => lines.push(line),
    });
  });

  afterAll(async () => {
    await host.close();
    await rm(folder, { recursive: true });
  });

  test('lists what the compiled code registered, sorted by name', () => {
    expect(host.functions.map(({ name }) => name)).toEqual([
      'a-first',
      'b-second',
      'bytes',
      'echo',
      'nothing',
      'release',
      'runs',
      'sealer',
      'throws',
      'waits',
    ]);
    expect(host.functions.find(({ name }) => name === 'echo')).toMatchObject({
      type: 'http',
      route: 'api/echo/{id}',
      methods: ['PUT'],
    });
  });

  test('carries path, query, headers and body in, and status, headers and body out', async () => {
    const response = await fetch(`${host.url}/api/echo/a%20b?x=1&x=2&y=%C3%A9`, {
      method: 'PUT',
      headers: { 'x-custom': 'kept', 'x-forwarded-for': '203.0.113.9' },
      body: 'grüß',
    });

    expect(response.status).toBe(201);
    expect(response.headers.get('x-sample')).toBe('yes');
    expect(response.headers.get('content-type')).toBe('application/json');
    // As behind the front end of Azure: what the caller claims comes before what is known.
    const forwarded: unknown = expect.stringMatching(/^203\.0\.113\.9, 127\.0\.0\.1:\d+$/);
    expect(await response.json()).toEqual({
      id: 'a b',
      query: { x: '1,2', y: 'é' },
      custom: 'kept',
      forwarded,
      body: 'grüß',
    });
  });

  test('carries bytes unchanged both ways', async () => {
    const sent = Uint8Array.from({ length: 1 << 20 }, (_, index) => (index * 31) % 256);

    const response = await fetch(`${host.url}/api/bytes`, { method: 'POST', body: sent });

    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), sent)).toBe(0);
  });

  test('gives an overlapping route to the function whose name comes first', async () => {
    expect(await (await fetch(`${host.url}/api/same/one`)).text()).toBe('first');
    expect(await (await fetch(`${host.url}/api/same/two`)).text()).toBe('second');
  });

  test.each([
    ['an unknown route', 'GET', '/api/unknown', 404],
    ['a wrong method', 'POST', '/api/echo/1', 404],
    ['the root', 'GET', '/', 404],
    ['a handler that throws', 'GET', '/api/throws', 500],
    ['a handler that returns nothing', 'GET', '/api/nothing', 204],
  ])('answers %s without a body', async (_case, method, path, status) => {
    const response = await fetch(host.url + path, { method });

    expect(response.status).toBe(status);
    expect(await response.text()).toBe('');
  });

  test('logs one JSON object per event, with the fault and without the path', async () => {
    lines.length = 0;

    await fetch(`${host.url}/api/throws?secret=hidden`);
    await fetch(`${host.url}/api/echo/7`, { method: 'PUT' });

    const logged = lines.map((line): unknown => JSON.parse(line));
    const error: unknown = expect.stringContaining('a planted fault');
    expect(logged).toMatchObject([
      { event: 'failure', function: 'throws', error },
      { event: 'request', function: 'throws', method: 'GET', status: 500 },
      { event: 'log', function: 'echo', level: 'information', message: 'hello from 7' },
      { event: 'request', function: 'echo', status: 201 },
    ]);
    expect(lines.join()).not.toContain('hidden');
  });

  test('loses a chunked body, as the buffered mode of Azure does', async () => {
    const request = 'PUT /api/echo/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n';
    const answer = await sendRaw(
      host,
      `${request}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );

    expect(answer).toContain('HTTP/1.1 201');
    expect(answer).toContain('"body":""');
  });

  test('refuses a body above 10 MiB before it reads it', async () => {
    const length = 10 * 1024 * 1024 + 1;
    const answer = await sendRaw(
      host,
      `POST /api/bytes HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`,
    );

    expect(answer).toMatch(/^HTTP\/1\.1 413 .*\r\nconnection: close/is);
  });

  test('answers others while a request waits', async () => {
    const waiting = [1, 2, 3].map(() => fetch(`${host.url}/api/waits`));
    const answered: string[] = [];
    const all = Promise.all(waiting.map(async (one) => answered.push(await (await one).text())));
    while (answered.length < waiting.length) await fetch(`${host.url}/api/release`);
    await all;

    expect(answered).toEqual(['released', 'released', 'released']);
  });

  test('runs a timer on demand, never twice at a time', async () => {
    await Promise.all([host.runTimer('sealer'), host.runTimer('sealer')]);

    expect(await (await fetch(`${host.url}/api/runs`)).json()).toEqual({ runs: 2 });
    await expect(host.runTimer('unknown')).rejects.toThrow('no timer named "unknown"');
  });

  test('runs a timer at its time until it closes', async () => {
    const scripts = await bundleSample(folder, 'ticking', tickingSample);
    const log = (): undefined => undefined;
    const ticking = await startFunctionsHost({ scripts, host: '127.0.0.1', port: 0, log });

    const ticks = [await once(events, 'tick'), await once(events, 'tick')];
    await ticking.close();

    expect(ticks).toHaveLength(2);
  });

  test('fails when the scripts register no function', async () => {
    await writeFile(join(folder, 'empty.js'), 'export {};');
    const scripts = [join(folder, 'empty.js')];

    const start = startFunctionsHost({ scripts, host: '127.0.0.1', port: 0, log: () => undefined });

    await expect(start).rejects.toThrow('No function is registered');
  });

  test('closes after the last answer, then ends the app', async () => {
    const scripts = await bundleSample(folder, 'ending', endingSample);
    const log = (): undefined => undefined;
    const ending = await startFunctionsHost({ scripts, host: '127.0.0.1', port: 0, log });
    const order: string[] = [];
    events.once('terminated', () => order.push('terminated'));
    const waits = once(events, 'waits');
    const answer = fetch(`${ending.url}/last`);
    await waits;

    const closed = ending.close();
    order.push('released');
    events.emit('release');

    expect(await (await answer).text()).toBe('the last answer');
    await closed;
    expect(order).toEqual(['released', 'terminated']);
    await expect(fetch(`${ending.url}/last`)).rejects.toThrow('fetch failed');
  });

  test('runs as a process that says where it listens and stops on SIGTERM', async () => {
    const scripts = join(folder, 'sample');
    const entry = fileURLToPath(new URL('../../local/broker.ts', import.meta.url));
    const broker = spawn(process.execPath, [entry, '--port', '0', '--scripts', scripts]);
    const [first] = z.tuple([z.string()]).parse(await once(createInterface(broker.stdout), 'line'));
    const { event, url } = z.object({ event: z.string(), url: z.url() }).parse(JSON.parse(first));

    expect(event).toBe('listening');
    expect(await (await fetch(`${url}/api/same/one`)).text()).toBe('first');
    broker.kill('SIGTERM');
    expect(await once(broker, 'exit')).toEqual([0, null]);
  });
});

async function bundleSample(folder: string, name: string, source: string): Promise<string> {
  const entry = join(folder, `${name}.ts`);
  await writeFile(entry, source);
  await bundleFunctions([entry], join(folder, name));
  return join(folder, name);
}

async function sendRaw(host: FunctionsHost, request: string): Promise<string> {
  const socket = connect(Number(new URL(host.url).port), '127.0.0.1');
  socket.write(request);
  return text(socket);
}
