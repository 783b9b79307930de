import type { KeyObject } from 'node:crypto';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
} from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { link, open, rm } from 'node:fs/promises';
import { platform } from 'node:os';
import { BrokerError } from '../failure.ts';
import type { RootKey } from '../root-key.ts';
import { toKid, toPublicJwk } from '../root-key.ts';

/**
 * Opens the root key in a PEM file (PKCS #8, EC P-256), and makes the file, for its owner alone, when there is none.
 * Fails with a sentence for the operator when others may read it. For one machine: anyone who can read the file can
 * sign, so in Azure the root key lives in Key Vault.
 */
export async function openRootKeyFile(path: string): Promise<RootKey> {
  const privateKey = (await readKey(path)) ?? (await createKey(path));
  const publicJwk = toPublicJwk(createPublicKey(privateKey));
  return {
    kid: toKid(publicJwk),
    publicJwk,
    sign: async (data) => {
      try {
        return sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      } catch (cause) {
        throw new BrokerError('keys-unavailable', 'Try again later.', { cause });
      }
    },
  };
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  const file = await openExisting(path);
  if (file === undefined) return undefined;
  try {
    // Of the file that is open, not of what its path names by then.
    const { mode } = await file.stat();
    // Windows keeps access lists instead, and shows every file as readable by all.
    if (platform() !== 'win32' && (mode & 0o077) !== 0)
      throw new Error(`Others may read the root key. Make a new one, or: chmod 600 ${path}`);
    return parseKey(path, await file.readFile());
  } finally {
    await file.close();
  }
}

function parseKey(path: string, pem: Buffer): KeyObject {
  try {
    const key = createPrivateKey(pem);
    toPublicJwk(createPublicKey(key));
    return key;
  } catch (cause) {
    throw new Error(`The file ${path} does not hold an EC P-256 private key.`, { cause });
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return undefined;
    throw cause;
  }
}

async function createKey(path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await file.sync();
    // Unlike a rename, a link never replaces the key that another process has just made.
    await link(draft, path);
    return privateKey;
  } catch (cause) {
    const theirs = hasCode(cause, 'EEXIST') ? await readKey(path) : undefined;
    if (theirs === undefined) throw cause;
    return theirs;
  } finally {
    await file.close();
    await rm(draft);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
