import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import * as z from 'zod';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { parseJson } from './json.ts';

const common = {
  version: z.literal(1),
  /** The broker that the token is for. It is sent to no other. */
  broker: z.url(),
  accessToken: z.string(),
  expiresAt: z.iso.datetime(),
  scope: z.string(),
};

const issued = { ...common, tokenEndpoint: z.url(), clientId: z.string() };

const profileShape = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('device'),
    ...issued,
    /** Where the person signed in; absent in a profile of an earlier version. */
    issuer: z.url().exactOptional(),
    refreshToken: z.string().exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('client-credentials'),
    ...issued,
    authentication: z.enum(['basic', 'post']),
  }),
  z.strictObject({ kind: z.literal('azure-cli'), ...common, resource: z.string().exactOptional() }),
]);

/** A sign-in that is kept: where its tokens come from, and the last one. */
export type Profile = z.infer<typeof profileShape>;

/** Where the sign-ins of one user are kept, by the name of their profile. */
export type TokenStore = {
  /** Fails with `signIn` when the file can be read by others. */
  readonly read: (name: string) => Promise<Profile | undefined>;
  /** Replaces the profile as a whole; a reader sees the old one or the new one. */
  readonly write: (name: string, profile: Profile) => Promise<void>;
  /** Returns whether there was one. */
  readonly remove: (name: string) => Promise<boolean>;
  /** Runs the work while no other process does so for the same profile: a refresh token can be used only once. */
  readonly lock: <T>(name: string, work: () => Promise<T>) => Promise<T>;
};

const ownerOnly = 0o600;
const lockPollMilliseconds = 50;

// Longer than a renewal may take: its holder has died, or belongs to another machine that shares the folder.
const staleLockMilliseconds = 60_000;

/** Returns the store in a folder, which is made at the first write and then opens to its owner only. */
export function createTokenStore(folder: string): TokenStore {
  const toPath = (name: string): string => join(folder, `${name}.json`);
  // The mode is for a folder that is made here; one that was there may have other uses.
  const makeFolder = async (): Promise<unknown> => mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    read: async (name) => readProfile(toPath(name)),
    write: async (name, profile) => {
      await makeFolder();
      await replaceFile(toPath(name), `${JSON.stringify(profile, null, 2)}\n`);
    },
    remove: async (name) => removeFile(toPath(name)),
    lock: async (name, work) => {
      await makeFolder();
      const path = join(folder, `${name}.lock`);
      const holder = `${hostname()} ${process.pid} ${randomBytes(6).toString('hex')}`;
      await takeLock(path, holder);
      try {
        return await work();
      } finally {
        // Another may have taken it over from one that slept too long.
        if ((await readLock(path)) === holder) await rm(path, { force: true });
      }
    },
  };
}

async function readProfile(path: string): Promise<Profile | undefined> {
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  const parsed = profileShape.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new CommandError(
    exitCodes.signIn,
    `The profile ${path} is damaged. Remove it with sallyport logout, then sign in again.`,
  );
}

async function readPrivateFile(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((failure: unknown) => {
    if (hasCode(failure, 'ENOENT')) return undefined;
    throw new CommandError(exitCodes.signIn, `The profile ${path} cannot be read.`, {
      cause: failure,
    });
  });
  if (file === undefined) return undefined;
  try {
    const { mode } = await file.stat();
    // The bits say nothing on Windows, where the user's own folder is private.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new CommandError(
        exitCodes.signIn,
        `Others on this machine can read the tokens in ${path}. Run: chmod 600 '${path}'`,
      );
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.${randomBytes(6).toString('hex')}.next`;
  try {
    // A new file, never an old one whose mode is not ours.
    await writeFile(next, text, { mode: ownerOnly, flag: 'wx', flush: true });
    await rename(next, path);
  } catch (failure) {
    await rm(next, { force: true });
    throw failure;
  }
}

async function removeFile(path: string): Promise<boolean> {
  try {
    await rm(path);
    return true;
  } catch (failure) {
    if (hasCode(failure, 'ENOENT')) return false;
    throw failure;
  }
}

async function takeLock(path: string, holder: string): Promise<void> {
  for (;;) {
    try {
      await writeFile(path, holder, { mode: ownerOnly, flag: 'wx' });
      return;
    } catch (failure) {
      if (!hasCode(failure, 'EEXIST')) throw failure;
    }
    const other = await readLock(path);
    if (other !== undefined && (await isStale(path, other))) await removeLock(path, other);
    else await wait(lockPollMilliseconds);
  }
}

async function readLock(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function isStale(path: string, holder: string): Promise<boolean> {
  const [host, pid] = holder.split(' ');
  if (host === hostname() && !isRunning(Number(pid))) return true;
  try {
    return staleLockMilliseconds < Date.now() - (await stat(path)).mtimeMs;
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (failure) {
    return !hasCode(failure, 'ESRCH');
  }
}

/** Removes the lock of a holder that is gone, and not the one of whoever was faster to do so. */
async function removeLock(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}.stale`;
  try {
    await rename(path, aside);
    // A link, never a rename: it fails where there is a lock again.
    if ((await readLock(aside)) !== holder) await link(aside, path);
  } catch (failure) {
    if (!hasCode(failure, 'ENOENT') && !hasCode(failure, 'EEXIST')) throw failure;
  } finally {
    await rm(aside, { force: true });
  }
}

function hasCode(failure: unknown, code: string): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === code;
}
