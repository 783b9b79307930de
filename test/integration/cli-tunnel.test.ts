import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import * as z from 'zod';
import { startBench } from '../support/cli-bench.ts';
import type { Cli, CliProcess } from '../support/cli-process.ts';
import { createSession } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';
import type { StandInGateway } from '../support/stand-in-gateway.ts';

const eventShape = z.looseObject({ event: z.string() });

type Event = z.infer<typeof eventShape>;

let broker: StandInBroker;
let gateway: StandInGateway;
let cli: Cli;
let close: () => Promise<void>;

beforeEach(async () => {
  ({ broker, gateway, cli, close } = await startBench());
  broker.services = [{ protocol: 'rdp', port: 3389 }];
});

afterEach(async () => close());

/** A tunnel that listens, with its events. */
type RunningTunnel = CliProcess & {
  readonly port: number;
  readonly events: readonly Event[];
  /** Resolves with the first event of this name, past or to come. */
  readonly find: (name: string) => Promise<Event>;
};

async function startTunnel(...args: readonly string[]): Promise<RunningTunnel> {
  const run = cli.start('tunnel', 'vm-one', '--json', ...args);
  const events: Event[] = [];
  const waiting = new Map<string, (event: Event) => void>();
  createInterface({ input: run.child.stdout }).on('line', (line) => {
    cli.printed += line;
    const event = eventShape.parse(JSON.parse(line));
    events.push(event);
    waiting.get(event.event)?.(event);
  });
  const find = async (name: string): Promise<Event> =>
    events.find(({ event }) => event === name) ??
    new Promise<Event>((resolve) => {
      waiting.set(name, resolve);
    });
  const { port } = z.looseObject({ port: z.number() }).parse(await find('listening'));
  return { ...run, port, events, find };
}

function echo(socket: WebSocket): void {
  socket.on('message', (message: Buffer) => socket.send(message));
}

/** Opens a local connection that the test ends by itself. */
async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

describe('sallyport tunnel', () => {
  test('carries 20 connections at once in one session, each with a ticket of its own', async () => {
    gateway.serve = echo;
    const { child, ended, events, find, port } = await startTunnel('--port', '3389');

    const sent = Array.from({ length: 20 }, () => randomBytes(512 * 1024));
    const echoed = await Promise.all(
      sent.map(async (bytes) => {
        const socket = await dial(port);
        socket.end(bytes);
        return buffer(socket);
      }),
    );
    child.kill('SIGINT');

    expect(echoed.every((bytes, i) => sent[i]?.equals(bytes))).toBe(true);
    expect(broker.sessions.size).toBe(1);
    expect(new Set(gateway.presented).size).toBe(20);
    await find('ended');
    expect(await ended).toBe(0);
    const closed = events.filter(({ event }) => event === 'closed');
    expect(closed).toHaveLength(20);
    for (const event of closed)
      expect(event).toEqual({
        event: 'closed',
        connection: event['connection'],
        bytesUp: 512 * 1024,
        bytesDown: 512 * 1024,
      });
    expect([...broker.sessions.values()]).toMatchObject([
      { protocol: 'rdp', port: 3389, state: 'ended' },
    ]);
  });

  test('keeps the way back open after the local program has sent its end', async () => {
    gateway.serve = (socket) => {
      socket.on('message', (message: Buffer) => {
        if (message.length > 0) return;
        socket.send(Buffer.from('after your end'));
        socket.send(Buffer.alloc(0));
      });
    };
    const { child, ended, port } = await startTunnel('--port', '3389');

    const socket = await dial(port);
    socket.end('before');

    expect((await buffer(socket)).toString()).toBe('after your end');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  test('closes open connections and terminates its session on Ctrl-C', async () => {
    gateway.serve = echo;
    const { child, ended, find, port } = await startTunnel('--port', '3389');
    const socket = await dial(port);
    const closed = once(socket, 'close');
    socket.resume().write('x');
    await find('opened');

    child.kill('SIGINT');

    await once(socket, 'end');
    socket.end();
    await closed;
    expect(await ended).toBe(0);
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  // The one who extends a session does so elsewhere; the broker and the gateway know when it is over.
  test('goes on past the deadline that it was told at the start', async () => {
    broker.intercept = ({ method, path }) => {
      const id = path.split('/')[3] ?? '';
      if (method !== 'PUT') return undefined;
      const session = createSession(id, gateway.endpoint);
      broker.sessions.set(id, session);
      const ticket = { ticket: 'unused', form: 'jwt', expiresAt: session.createdAt };
      return { status: 201, body: { ...session, deadline: session.createdAt, ticket } };
    };
    gateway.serve = echo;
    const { child, ended, port } = await startTunnel('--port', '3389');

    const socket = await dial(port);
    socket.end('still here');

    expect((await buffer(socket)).toString()).toBe('still here');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  test('leaves the session open with --keep', async () => {
    const { child, ended } = await startTunnel('--port', '5432', '--keep');

    child.kill('SIGINT');

    expect(await ended).toBe(0);
    expect([...broker.sessions.values()]).toMatchObject([
      { protocol: 'tcp', port: 5432, state: 'ready' },
    ]);
  });

  test('resets the local connection and exits with 6 when the session is terminated elsewhere', async () => {
    gateway.serve = (socket) => {
      socket.on('message', () => socket.close(4410, 'session-terminated'));
    };
    const { ended, find, port, stderr } = await startTunnel('--port', '3389');
    const socket = await dial(port);
    const failed = once(socket, 'error');

    socket.write('x');

    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(String((await find('closed'))['error'])).toContain('terminated');
    expect(await ended).toBe(6);
    expect(stderr()).toContain('The session was terminated.');
  });

  test('exits with 6 when the broker gives no more tickets for the session', async () => {
    const { ended, find, port } = await startTunnel('--port', '3389');
    for (const [id, session] of broker.sessions)
      broker.sessions.set(id, { ...session, state: 'ended' });

    const socket = await dial(port);
    socket.on('error', () => undefined);

    expect(await find('refused')).toMatchObject({ connection: 1 });
    expect(await ended).toBe(6);
  });

  test('goes on listening when one connection is refused', async () => {
    let isFirst = true;
    gateway.refuse = () => {
      if (!isFirst) return undefined;
      isFirst = false;
      return { status: 503, body: {} };
    };
    gateway.serve = echo;
    const { child, ended, find, port } = await startTunnel('--port', '3389');
    const refused = await dial(port);
    refused.on('error', () => undefined);
    await find('refused');

    const socket = await dial(port);
    socket.end('second');

    expect((await buffer(socket)).toString()).toBe('second');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  // THREATS 34: nobody else on the network can use the session.
  test('listens on 127.0.0.1 and on no other address', async () => {
    const { child, ended, port } = await startTunnel('--port', '3389');

    // The address is this machine's as well, and free there.
    const other = createServer().listen(port, '127.0.0.2');

    await once(other, 'listening');
    other.close();
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  // THREATS 34. Only root can become somebody else, and only Linux tells who is there.
  test.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)(
    'refuses a connection of another user of this machine',
    async () => {
      gateway.serve = echo;
      const { child, ended, find, port } = await startTunnel('--port', '3389');
      const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; echo secret >&3; cat <&3`;
      const other = spawn('/bin/bash', ['-c', script], { uid: 65_534, cwd: '/' });

      const stdout = await buffer(other.stdout);

      expect(stdout.toString()).toBe('');
      expect(String((await find('refused'))['error'])).toContain('user');
      expect(gateway.presented).toEqual([]);
      child.kill('SIGINT');
      expect(await ended).toBe(0);
    },
  );

  test('exits with 2 when the local port is taken, without asking for a session', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = z.object({ port: z.number() }).parse(taken.address());

    const args = ['--port', '3389', '--local', String(address.port)];
    const run = await cli.run('tunnel', 'vm-one', ...args);

    taken.close();
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('--local');
    expect(broker.sessions.size).toBe(0);
  });

  test('says in words what happens when no script listens', async () => {
    gateway.serve = echo;
    const { child, ended, stderr } = cli.start('tunnel', 'vm-one', '--port', '3389');
    const lines = createInterface({ input: child.stdout });
    const [line] = z.tuple([z.string()]).parse(await once(lines, 'line'));
    const socket = await dial(Number(/:(\d+) for/.exec(line)?.[1]));
    socket.end('hello');
    await buffer(socket);

    child.kill('SIGINT');

    expect(await ended).toBe(0);
    expect(line).toMatch(/^Listening on 127\.0\.0\.1:\d+ for rdp:3389 of vm-one until /);
    expect(stderr()).toBe('#1 opened\n#1 closed, 5 B up, 5 B down\nThe tunnel is closed.\n');
  });
});
