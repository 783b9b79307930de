import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { startBench } from '../support/cli-bench.ts';
import type { Cli } from '../support/cli-process.ts';
import { createSession, vm } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';
import type { StandInGateway } from '../support/stand-in-gateway.ts';

const empty = Buffer.alloc(0);

let broker: StandInBroker;
let gateway: StandInGateway;
let cli: Cli;
let close: () => Promise<void>;

beforeEach(async () => {
  ({ broker, gateway, cli, close } = await startBench());
});

afterEach(async () => close());

/** Collects what comes up, until its end. */
async function readUp(socket: WebSocket): Promise<readonly Buffer[]> {
  const messages: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('message', (message: Buffer, isBinary) => {
      expect(isBinary).toBe(true);
      if (message.length === 0) resolve(messages);
      else messages.push(message);
    });
  });
}

describe('sallyport connect', () => {
  test('carries 8 MiB each way at once, byte for byte, and closes with 1000 when both have ended', async () => {
    const [up, down] = [randomBytes(8 * 1024 * 1024), randomBytes(8 * 1024 * 1024)];
    const received = Promise.withResolvers<readonly Buffer[]>();
    const closed = Promise.withResolvers<number>();
    gateway.serve = (socket) => {
      received.resolve(readUp(socket));
      socket.on('close', (code) => closed.resolve(code));
      for (let from = 0; from < down.length; from += 50_000)
        socket.send(down.subarray(from, from + 50_000));
      socket.send(empty);
    };

    const { child, ended } = cli.start('connect', 'vm-one');
    child.stdin.end(up);
    const stdout = await buffer(child.stdout);

    expect(stdout.equals(down)).toBe(true);
    const messages = await received.promise;
    expect(Buffer.concat(messages).equals(up)).toBe(true);
    expect(Math.max(...messages.map(({ length }) => length))).toBeLessThanOrEqual(65_536);
    expect(await closed.promise).toBe(1000);
    expect(await ended).toBe(0);
  });

  test('ends standard output when the target has ended, and goes on carrying standard input', async () => {
    const received = Promise.withResolvers<readonly Buffer[]>();
    gateway.serve = (socket) => {
      received.resolve(readUp(socket));
      socket.send(Buffer.from('bye'));
      socket.send(empty);
    };

    const { child, ended } = cli.start('connect', vm.id, '--port', '22');
    const stdout = await buffer(child.stdout);
    child.stdin.end('still here');

    expect(stdout.toString()).toBe('bye');
    expect(Buffer.concat(await received.promise).toString()).toBe('still here');
    expect(await ended).toBe(0);
  });

  // OpenSSH gives a ProxyCommand pipes, and Node gives its children sockets.
  test('ends a pipe as well as a socket', async () => {
    gateway.serve = (socket) => {
      socket.send(Buffer.from('bye, '));
      socket.send(empty);
    };

    const { child, ended } = cli.startIn('"$@" | (cat; echo ended; cat)', 'connect', 'vm-one');
    let stdout = '';
    for await (const chunk of child.stdout) {
      stdout += String(chunk);
      if (stdout.endsWith('ended\n')) child.stdin.end();
    }

    expect(stdout).toBe('bye, ended\n');
    expect(await ended).toBe(0);
  });

  test('asks for the session that was described, and terminates it at the end', async () => {
    gateway.serve = (socket) => socket.close(1000, 'target-closed');

    const words = ['--duration', '1h30m', '--reason', "it's 100% mine", '--change', 'CHG-7'];
    const run = await cli.run('connect', 'VM-ONE', ...words);

    expect(run).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    const put = broker.seen.find(({ method }) => method === 'PUT');
    expect(JSON.parse(put?.body ?? '')).toEqual({
      target: vm.id,
      protocol: 'ssh',
      port: 22,
      durationSeconds: 5400,
      reason: "it's 100% mine",
      change: 'CHG-7',
    });
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  test('asks once more under the same id when the answer is lost, and gets a ticket of its own', async () => {
    let isFirst = true;
    broker.intercept = ({ method, path }) => {
      if (method !== 'PUT' || !isFirst) return undefined;
      isFirst = false;
      const id = path.split('/')[3] ?? '';
      broker.sessions.set(id, createSession(id, gateway.endpoint));
      return 'hang up';
    };
    gateway.serve = (socket) => socket.close(1000);

    const run = await cli.run('connect', vm.id, '--port', '22');

    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    const puts = broker.seen.filter(({ method }) => method === 'PUT');
    expect(puts.map(({ path }) => path)).toEqual([puts[0]?.path, puts[0]?.path]);
    expect(gateway.presented).toEqual([...broker.tickets]);
  });

  test('closes the connection and terminates the session when ssh goes away', async () => {
    const opened = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<number>();
    gateway.serve = (socket) => {
      socket.on('close', (code) => closed.resolve(code));
      socket.on('message', () => opened.resolve());
    };
    const { child, ended } = cli.start('connect', 'vm-one');
    child.stdout.resume();
    child.stdin.write('SSH-2.0-test');
    await opened.promise;

    child.kill('SIGHUP');

    expect(await closed.promise).toBe(1000);
    expect(await ended).toBe(0);
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  test('ends at once on SIGTERM while the broker is silent, and terminates what it asked for', async () => {
    const asked = Promise.withResolvers<void>();
    broker.intercept = ({ method, path }) => {
      if (method !== 'PUT') return undefined;
      const id = path.split('/')[3] ?? '';
      broker.sessions.set(id, createSession(id, gateway.endpoint));
      asked.resolve();
      return 'stay silent';
    };
    const { child, ended } = cli.start('connect', 'vm-one');
    await asked.promise;

    child.kill('SIGTERM');

    expect(await ended).toBe(7);
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  test('terminates a session that was stored when no answer came back', async () => {
    broker.intercept = ({ method, path }) => {
      if (method !== 'PUT') return undefined;
      const id = path.split('/')[3] ?? '';
      broker.sessions.set(id, createSession(id, gateway.endpoint));
      return 'hang up';
    };

    const run = await cli.run('connect', vm.id, '--port', '22');

    expect(run.exitCode).toBe(7);
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  test('ends at once on SIGTERM while the gateway is silent', async () => {
    const dialled = Promise.withResolvers<void>();
    gateway.refuse = () => {
      dialled.resolve();
      return 'stay silent';
    };
    const { child, ended } = cli.start('connect', 'vm-one');
    await dialled.promise;

    child.kill('SIGTERM');

    expect(await ended).toBe(7);
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  // Memory is bounded with a stalled reader (THREATS 29): the flood stays at its source.
  test('stops reading from the gateway while nobody reads standard output', async () => {
    const flooded = Promise.withResolvers<WebSocket>();
    const chunk = randomBytes(65_536);
    gateway.serve = (socket) => {
      for (let sent = 0; sent < 64 * 1024 * 1024; sent += chunk.length) socket.send(chunk);
      flooded.resolve(socket);
      socket.on('message', () => socket.close(1000));
    };

    const { child, ended } = cli.start('connect', 'vm-one');
    await once(child, 'spawn');
    const socket = await flooded.promise;
    const held = await settle(() => socket.bufferedAmount);
    child.stdin.end('x');
    const stdout = await buffer(child.stdout);

    // Sockets and pipes hold a few MiB; the rest waits on the other side.
    expect(held).toBeGreaterThan(40 * 1024 * 1024);
    expect(stdout.length).toBe(64 * 1024 * 1024);
    expect(await ended).toBe(0);
  });
});

/** Returns a value once it has stayed the same for a while. */
async function settle(read: () => number): Promise<number> {
  return new Promise((resolve) => {
    let last = read();
    const timer = setInterval(() => {
      const next = read();
      if (next === last) {
        clearInterval(timer);
        resolve(next);
      }
      last = next;
    }, 400);
  });
}
