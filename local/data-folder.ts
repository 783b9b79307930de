import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** A data folder that this process alone may use until `release` is called. */
export interface DataFolder {
  readonly path: string;
  readonly release: () => void;
}

interface Machine {
  readonly platform: string;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const held = new Set<string>();

/** Names the folder for local data where the platform keeps what belongs to one user. */
export function defaultDataFolder(machine: Machine = thisMachine()): string {
  const { env, home, platform } = machine;
  if (env['XDG_DATA_HOME']) return join(env['XDG_DATA_HOME'], 'sallyport');
  if (platform === 'win32')
    return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'sallyport');
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'sallyport');
  return join(home, '.local', 'share', 'sallyport');
}

/**
 * Creates the folder for its owner alone and takes its lock. Fails with a sentence for the user
 * when the folder is not writable or another living process holds it.
 */
export function openDataFolder(wanted: string | undefined): DataFolder {
  const path = resolve(wanted ?? defaultDataFolder());
  createFolder(path);
  const lock = join(path, 'lock');
  takeLock(path, lock);
  return {
    path,
    release: () => {
      if (held.delete(path)) rmSync(lock, { force: true });
    },
  };
}

function thisMachine(): Machine {
  return { platform: process.platform, home: homedir(), env: process.env };
}

function createFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const advice = 'Choose a folder that you may write to with --data.';
    throw new Error(`The data folder ${path} is not writable (${codeOf(cause)}). ${advice}`, {
      cause,
    });
  }
}

function takeLock(path: string, lock: string): void {
  if (!createLock(lock)) {
    const owner = readOwner(lock);
    if (held.has(path) || (owner !== process.pid && isAlive(owner))) {
      const advice = 'Stop it, or choose another folder with --data.';
      throw new Error(`Process ${owner} already uses the data folder ${path}. ${advice}`);
    }
    // The owner died without a word. Two starts that see this within the same
    // instant may both pass; the second then fails on a port that is in use.
    rmSync(lock, { force: true });
    if (!createLock(lock)) throw new Error(`Another start took the data folder ${path} just now.`);
  }
  held.add(path);
}

function createLock(lock: string): boolean {
  try {
    writeFileSync(lock, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') return false;
    throw cause;
  }
}

function readOwner(lock: string): number {
  try {
    return Number.parseInt(readFileSync(lock, 'utf8'), 10);
  } catch {
    return Number.NaN;
  }
}

function isAlive(pid: number): boolean {
  // Signals to 0 and to negative numbers address process groups, never one process.
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return codeOf(cause) === 'EPERM';
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
}
