import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import * as z from 'zod';
import { BrokerError } from '../../lib/failure.ts';
import { startDemoTarget } from '../../local/demo-target.ts';
import type { DemoTarget } from '../../local/demo-target.ts';
import { startBench } from '../support/cli-bench.ts';
import type { CliBench } from '../support/cli-bench.ts';
import { Cli } from '../support/cli-process.ts';
import type { CliResult } from '../support/cli-process.ts';
import { toReply, vm } from '../support/stand-in-broker.ts';

const hasSsh = spawnSync('ssh', ['-V']).error === undefined;

// A shell, OpenSSH's tokens and its configuration file would each read something else into it.
const reason = `it's "100%" %h $HOME \`id\` #1 \\ ; & ä`;

/** Joins what comes through the gateway to a TCP port, with the ends of both directions kept. */
function joinPort(socket: WebSocket, port: number): void {
  const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  target.on('data', (bytes: Buffer) => socket.send(bytes));
  target.on('end', () => socket.send(Buffer.alloc(0)));
  target.on('error', () => socket.close(4502, 'target-lost'));
  socket.on('message', (message: Buffer) => {
    if (message.length === 0) target.end();
    else target.write(message);
  });
  socket.on('close', () => target.destroy());
}

describe('sallyport ssh', () => {
  test.each(['SIGTERM', 'SIGHUP'] as const)('leaves no ssh behind on %s', async (signal) => {
    const bench = await startBench();
    // Says who it is, and goes only when it is told to.
    writeFileSync(join(bench.folder, 'ssh'), '#!/bin/sh\necho $$\nexec sleep 60\n', {
      mode: 0o755,
    });
    const cli = new Cli({
      ...bench.environment,
      PATH: `${bench.folder}:${process.env['PATH'] ?? ''}`,
    });
    const { child, ended } = cli.start('ssh', 'vm-one');
    const [line] = z.tuple([z.instanceof(Buffer)]).parse(await once(child.stdout, 'data'));

    child.kill(signal);

    expect(await ended).toBe(128 + constants.signals[signal]);
    expect(() => process.kill(Number(line.toString()), 0)).toThrow('ESRCH');
    await bench.close();
  });
});

describe.skipIf(!hasSsh && process.env['CI'] === undefined)('OpenSSH', () => {
  let bench: CliBench;
  let target: DemoTarget;
  let sshOptions: readonly string[];

  beforeEach(async () => {
    bench = await startBench();
    const { broker, gateway } = bench;
    target = await startDemoTarget({ folder: bench.folder, port: 0 });
    gateway.serve = (socket) => joinPort(socket, target.port);
    broker.services = [{ protocol: 'ssh', port: 2222 }];
    const settings = [
      'IdentitiesOnly=yes',
      'BatchMode=yes',
      `UserKnownHostsFile=${join(bench.folder, 'known-hosts')}`,
      'StrictHostKeyChecking=accept-new',
    ];
    sshOptions = ['-i', target.keyFile, ...settings.flatMap((setting) => ['-o', setting])];
  });

  afterEach(async () => {
    await target.close();
    await bench.close();
  });

  /** Runs `sallyport ssh` with the configuration of nobody. */
  async function runSsh(options: readonly string[], command: string): Promise<CliResult> {
    const rest = ['--', '-F', 'none', ...sshOptions, command];
    return bench.cli.run('ssh', 'anyone@vm-one', ...options, ...rest);
  }

  test('runs a command on the target, and its exit code is ours', async () => {
    const run = await runSsh(['--reason', reason], 'echo hello; exit 7');

    expect(run).toMatchObject({ exitCode: 7, stdout: 'hello\n' });
    const put = bench.broker.seen.find(({ method }) => method === 'PUT');
    expect(JSON.parse(put?.body ?? '')).toMatchObject({ target: vm.id, port: 2222, reason });
  });

  test('keeps the host key under the id of the target', async () => {
    await runSsh([], 'true');

    const known = readFileSync(join(bench.folder, 'known-hosts'), 'utf8');
    expect(known).toMatch(new RegExp(`^${vm.id} ssh-ed25519 `));
  });

  test('passes advice on, and the code of ssh, when the session is denied', async () => {
    const advice = ['Ask for the role of an operator.'];
    const denial = new BrokerError('access-denied', 'No policy permits this.', { advice });
    bench.broker.intercept = ({ method }) => (method === 'PUT' ? toReply(denial) : undefined);

    const run = await runSsh([], 'true');

    expect(run.exitCode).toBe(255);
    expect(run.stderr).toContain('  advice: Ask for the role of an operator.');
  });

  test('prints a block with which plain ssh and scp reach the target', async () => {
    const { cli, folder } = bench;
    const { stdout, exitCode } = await cli.run('ssh-config', 'vm-one', '--reason', reason);
    const [config, source, copy] = ['ssh-config', 'source', 'copy'].map((name) =>
      join(folder, name),
    );
    const sent = randomBytes(1024 * 1024);
    writeFileSync(String(config), stdout);
    writeFileSync(String(source), sent);
    const options = ['-F', String(config), ...sshOptions];
    const env = { PATH: process.env['PATH'], ...bench.environment };
    const run = promisify(execFile);

    const hello = await run('ssh', [...options, 'anyone@vm-one.sallyport', 'echo hello'], { env });
    // The demo target has no SFTP, which is what -O is for.
    await run('scp', ['-O', ...options, String(source), `anyone@vm-one.sallyport:${copy}`], {
      env,
    });

    expect(exitCode).toBe(0);
    expect(stdout).toContain(
      `Host vm-one.sallyport ${vm.id}\n  HostKeyAlias ${vm.id}\n  Port 2222\n`,
    );
    expect(hello.stdout).toBe('hello\n');
    expect(readFileSync(String(copy)).equals(sent)).toBe(true);
    const put = bench.broker.seen.find(({ method }) => method === 'PUT');
    expect(JSON.parse(put?.body ?? '')).toMatchObject({ target: vm.id, port: 2222, reason });
  });
});
