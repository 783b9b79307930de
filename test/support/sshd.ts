import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { choosePort } from '../../local/free-port.ts';
import { requireProgram } from './programs.ts';

/** A real OpenSSH server on loopback that lets the current user in with one key. */
export type Sshd = {
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  /** The server's public host key, as a known_hosts line names it: type and base64. */
  readonly hostKey: string;
  readonly close: () => Promise<void>;
};

/** Starts sshd in the foreground with keys of its own, and resolves once it answers. */
export async function startSshd(folder: string): Promise<Sshd> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const hostKeyFile = makeKey(join(folder, 'host-key'));
  const keyFile = makeKey(join(folder, 'user-key'));
  const authorized = join(folder, 'authorized_keys');
  writeFileSync(authorized, readFileSync(`${keyFile}.pub`), { mode: 0o600 });
  const port = await choosePort();
  const config = join(folder, 'sshd_config');
  writeFileSync(config, toConfig({ port, hostKeyFile, authorized }));
  const child = spawn(requireProgram('sshd'), ['-D', '-e', '-f', config], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await waitForPort(port);
  return {
    port,
    user: userInfo().username,
    keyFile,
    hostKey: readFileSync(`${hostKeyFile}.pub`, 'utf8').split(' ').slice(0, 2).join(' '),
    close: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function makeKey(file: string): string {
  execFileSync(requireProgram('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  return file;
}

function toConfig(facts: {
  readonly port: number;
  readonly hostKeyFile: string;
  readonly authorized: string;
}): string {
  return [
    `Port ${String(facts.port)}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${facts.hostKeyFile}`,
    `AuthorizedKeysFile ${facts.authorized}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'PermitRootLogin yes',
    'MaxStartups 100',
    'MaxSessions 100',
    'Subsystem sftp internal-sftp',
    '',
  ].join('\n');
}

// Rejects when nobody listens after ten seconds.
async function waitForPort(port: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    if (await isListening(port)) return;
    if (deadline < Date.now()) throw new Error(`nobody listens on port ${String(port)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
