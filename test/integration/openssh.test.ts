import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import { runCli, runProgram, startCli, toCliEnvironment } from '../support/cli.ts';
import { describeWith, requireProgram } from '../support/programs.ts';
import type { Sshd } from '../support/sshd.ts';
import { startSshd } from '../support/sshd.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';

describeWith(
  ['sshd', 'ssh', 'scp', 'rsync', 'ssh-keygen'],
  'a real OpenSSH client and server',
  () => {
    let sshd: Sshd;
    let target: EchoServer;
    let stack: TestStack;
    let options: readonly string[];

    beforeAll(async () => {
      const folder = `/tmp/sallyport-sshd-${String(process.pid)}-${randomBytes(4).toString('hex')}`;
      sshd = await startSshd(folder);
      target = await startEchoServer();
      stack = await startTestStack({
        targets: [
          testTarget('box', sshd.port),
          testTarget('echo', target.port, 'tcp'),
          { ...testTarget('locked', sshd.port), ...lockedTags },
          { ...testTarget('ci', sshd.port), ...ciTags },
        ],
      });
      const knownHosts = join(stack.folder, 'known_hosts');
      const names = [testTarget('box', sshd.port).id, ciTags.id].join(',');
      writeFileSync(knownHosts, `${names} ${sshd.hostKey}\n`);
      options = [
        '-i',
        sshd.keyFile,
        '-o',
        `UserKnownHostsFile=${knownHosts}`,
        '-o',
        'BatchMode=yes',
        '-o',
        'StrictHostKeyChecking=yes',
      ];
    });

    afterAll(async () => {
      await stack?.close();
      await target?.close();
      await sshd?.close();
    });

    test('runs a command on the target and passes its output and exit code through', async () => {
      const args = [
        'ssh',
        `${sshd.user}@box`,
        '--port',
        String(sshd.port),
        '--',
        ...options,
        'echo hello; exit 3',
      ];

      const run = await runCli(stack, 'ada', args);

      expect(run).toMatchObject({ code: 3, stdout: 'hello\n' });
    });

    test('leaves every step in the audit log', async () => {
      const entries = await readAudit(stack.audit);

      const steps = entries.map(({ type }) => type).filter((type) => !type.startsWith('chain.'));
      expect(steps.slice(0, 5)).toEqual([
        'session.requested',
        'session.allowed',
        'ticket.issued',
        'ticket.redeemed',
        'connection.opened',
      ]);
    });

    async function writeConfig() {
      const env = await toCliEnvironment(stack, 'ada');
      const { stdout: block } = await runCli(stack, 'ada', ['ssh-config', 'box']);
      const config = join(stack.folder, 'ssh_config');
      writeFileSync(config, block);
      return { env, config, host: /^Host (\S+)/m.exec(block)?.[1] ?? '' };
    }

    test('carries 64 MiB through ssh and back, byte-identical', async () => {
      const { env } = await writeConfig();
      const data = randomBytes(64 * 1024 * 1024);
      const args = [
        'ssh',
        `${sshd.user}@box`,
        '--port',
        String(sshd.port),
        '--',
        ...options,
        'cat',
      ];
      const child = startCli(args, env);
      const parts: Buffer[] = [];
      child.stdout.on('data', (part: Buffer) => parts.push(part));
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));

      child.stdin.end(data);

      expect(await ended).toBe(0);
      expect(digest(Buffer.concat(parts))).toBe(digest(data));
    });

    test('lets rsync copy a folder by the printed ssh_config', async () => {
      const { env, config, host } = await writeConfig();
      const [from, to] = [join(stack.folder, 'from'), join(stack.folder, 'to')];
      mkdirSync(from);
      const data = randomBytes(1_000_000);
      writeFileSync(join(from, 'file'), data);
      const shell = [requireProgram('ssh'), '-F', config, ...options].join(' ');
      const remote = `${sshd.user}@${host}:${to}/`;

      const args = ['-a', '-e', shell, `${from}/`, remote];
      const run = await runProgram(requireProgram('rsync'), args, env);

      expect(run).toMatchObject({ code: 0 });
      expect(digest(readFileSync(join(to, 'file')))).toBe(digest(data));
    });

    test('copies 64 MiB each way with scp, byte-identical, by the printed ssh_config', async () => {
      const { env, config, host } = await writeConfig();
      const [source, there, back] = ['source', 'there', 'back'].map((name) =>
        join(stack.folder, name),
      );
      const data = randomBytes(64 * 1024 * 1024);
      writeFileSync(source ?? '', data);
      const scp = requireProgram('scp');
      const remote = `${sshd.user}@${host}:${there ?? ''}`;

      const up = await runProgram(scp, ['-q', '-F', config, ...options, source ?? '', remote], env);
      const down = await runProgram(scp, ['-q', '-F', config, ...options, remote, back ?? ''], env);

      expect(up).toMatchObject({ code: 0 });
      expect(down).toMatchObject({ code: 0 });
      expect(digest(readFileSync(back ?? ''))).toBe(digest(data));
    });

    test('carries 20 parallel connections in one tunnel session', async () => {
      const env = await toCliEnvironment(stack, 'ada');
      const args = [
        '--json',
        'tunnel',
        'echo',
        '--port',
        String(target.port),
        '--protocol',
        'tcp',
        '--local',
        '0',
      ];
      const tunnel = startCli(args, env);
      const port = await new Promise<number>((resolve) => {
        for (const stream of [tunnel.stdout, tunnel.stderr])
          createInterface({ input: stream }).on('line', (line) => {
            const found = /"port":(\d+)|127\.0\.0\.1:(\d+)/.exec(line);
            if (found) resolve(Number(found[1] ?? found[2]));
          });
      });

      const echoes = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const data = randomBytes(1_000_000);
          return digest(await echoOver(port, data)) === digest(data);
        }),
      );
      const exited = new Promise((resolve) => tunnel.once('close', resolve));
      tunnel.kill('SIGINT');
      await exited;

      expect(echoes).toEqual(Array.from({ length: 20 }, () => true));
      const entries = await readAudit(stack.audit);
      const session = entries.findLast(({ type }) => type === 'connection.opened')?.['session'];
      const own = entries.filter((entry) => entry['session'] === session).map(({ type }) => type);
      expect(own.filter((type) => type === 'connection.opened')).toHaveLength(20);
      expect(own.filter((type) => type === 'session.ended')).toHaveLength(1);
    });

    test('a denial prints the advice of the policy and exits with its own code', async () => {
      const run = await runCli(stack, 'ada', ['ssh', lockedTags.id, '--port', String(sshd.port)]);

      expect(run.stderr).toContain('This machine is locked. Ask its owner.');
      expect(run.code).not.toBe(0);
    });

    test('a pipeline with a workload token runs a command', async () => {
      const args = [
        'ssh',
        `${sshd.user}@${ciTags.id}`,
        '--port',
        String(sshd.port),
        '--',
        ...options,
        'id -un',
      ];

      const run = await runCli(stack, 'pipeline', args);

      expect(run).toMatchObject({ code: 0, stdout: `${sshd.user}\n` });
    });

    test('a caller without rights sees no target and reaches none', async () => {
      const list = await runCli(stack, 'eve', ['--json', 'targets']);
      const run = await runCli(stack, 'eve', ['connect', testTarget('box', sshd.port).id]);

      expect(list.stdout).not.toContain('7a59e700');
      expect(run.code).toBe(4);
    });
  },
);

const lockedTags = {
  id: '7a59e700-0000-4000-8000-0000000010cd',
  tags: { env: 'test', access: 'locked' },
};

const ciTags = { id: '7a59e700-0000-4000-8000-00000000c1c1', tags: { ci: 'true' } };

function digest(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

async function echoOver(port: number, data: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    // Half-closed by us, so that the end of the echo is the end of the stream.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('data', (part) => parts.push(part));
    socket.once('end', () => resolve(Buffer.concat(parts)));
    socket.once('error', reject);
    socket.end(data);
  });
}
