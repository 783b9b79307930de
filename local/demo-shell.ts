import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants, tmpdir, userInfo } from 'node:os';
import { StringDecoder } from 'node:string_decoder';
import { spawn as spawnTerminal } from '@lydell/node-pty';
import type { PseudoTtyInfo, ServerChannel } from 'ssh2';

/** A pseudo-terminal whose size follows the client's window. */
export interface Terminal {
  readonly resize: (columns: number, rows: number) => void;
}

/** Joins the channel to the user's shell without a terminal, or to one command given to it. */
export function runCommand(channel: ServerChannel, command?: string): void {
  const child = spawn(findShell(), command === undefined ? [] : ['-c', command], {
    cwd: findHome(),
    stdio: 'pipe',
    // A process group of its own, so that it can be hung up as a whole.
    detached: process.platform !== 'win32',
  });
  channel.pipe(child.stdin);
  // A command that reads no input may be gone before the client has sent all of it.
  child.stdin.on('error', () => undefined);
  // The channel stays open after the last byte: the exit status must follow it.
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.on('error', () => endChannel(channel, 127));
  child.on('close', (code, signal) => endChannel(channel, code ?? 0, signal ?? undefined));
  channel.on('close', () => hangUp(child));
  channel.on('error', () => hangUp(child));
}

// What the shell has started must not outlive the connection either.
function hangUp({ exitCode, pid, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGHUP');
  } catch {
    // It has ended just now.
  }
}

/** Joins the channel to the user's shell in a pseudo-terminal, or to one command run in it. */
export function runInTerminal(
  channel: ServerChannel,
  window: PseudoTtyInfo,
  command?: string,
): Terminal {
  const pty = spawnTerminal(findShell(), command === undefined ? [] : ['-c', command], {
    name: window.term || 'xterm-256color',
    cols: atLeastOne(window.cols),
    rows: atLeastOne(window.rows),
    cwd: findHome(),
    env: { ...process.env },
  });
  const decoder = new StringDecoder('utf8');
  let isOpen = true;
  const hangUp = (): void => {
    if (isOpen) pty.kill();
  };
  pty.onData((data) => {
    if (!channel.write(data)) pty.pause();
  });
  pty.onExit(({ exitCode, signal }) => {
    isOpen = false;
    endChannel(channel, exitCode, nameSignal(signal));
  });
  channel.on('drain', () => pty.resume());
  channel.on('data', (data: Buffer) => {
    if (isOpen) pty.write(decoder.write(data));
  });
  channel.on('close', hangUp);
  channel.on('error', hangUp);
  return {
    resize: (columns, rows) => {
      if (isOpen) pty.resize(atLeastOne(columns), atLeastOne(rows));
    },
  };
}

function endChannel(channel: ServerChannel, code: number, signal?: string): void {
  if (!channel.writable) return;
  // SSH names signals without the prefix (RFC 4254, section 6.10).
  if (signal) channel.exit(signal.replace(/^SIG/, ''));
  else channel.exit(code);
  channel.end();
}

function nameSignal(number: number | undefined): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}

function findShell(): string {
  if (process.platform === 'win32') return 'powershell.exe';
  const { shell } = userInfo();
  // A service account of a container has a shell that only says no.
  return shell === null || /\/(nologin|false)$/.test(shell) ? '/bin/sh' : shell;
}

function findHome(): string {
  const { homedir } = userInfo();
  return existsSync(homedir) ? homedir : tmpdir();
}

// A client without a real window sends 0 (RFC 4254, section 6.2), which no terminal accepts.
function atLeastOne(size: number): number {
  return Math.max(1, size);
}
