import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRootKeyFile } from '../../lib/file/root-key-file.ts';

describe('openRootKeyFile', () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-root-'));
    path = join(folder, 'root-key.pem');
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  test('makes a key that its owner alone can read, and finds the same one next time', async () => {
    const made = await openRootKeyFile(path);
    const found = await openRootKeyFile(path);

    expect(found.kid).toBe(made.kid);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['root-key.pem']);
  });

  test('signs in the form of JWS, for the public key that it names', async () => {
    const root = await openRootKeyFile(path);
    const data = Buffer.from('an endorsement');

    const signature = await root.sign(data);

    const key = createPublicKey({ key: root.publicJwk, format: 'jwk' });
    expect(signature).toHaveLength(64);
    expect(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
  });

  test('gives all processes that start at once the same key', async () => {
    const roots = await Promise.all(Array.from({ length: 10 }, () => openRootKeyFile(path)));

    expect(new Set(roots.map(({ kid }) => kid)).size).toBe(1);
    expect(await readdir(folder)).toEqual(['root-key.pem']);
  });

  test.each([0o640, 0o604, 0o620])('refuses a key that others may reach (%o)', async (mode) => {
    await openRootKeyFile(path);
    await chmod(path, mode);

    await expect(openRootKeyFile(path)).rejects.toThrow('chmod 600');
  });

  test('refuses a file that holds no EC P-256 key, and leaves it as it is', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await expect(openRootKeyFile(path)).rejects.toThrow('P-256');

    await writeFile(path, 'nothing');
    await expect(openRootKeyFile(path)).rejects.toThrow('P-256');
    expect((await stat(path)).size).toBe(7);
  });

  test('does not make a key where it cannot keep it', async () => {
    await expect(openRootKeyFile(join(folder, 'absent', 'key.pem'))).rejects.toThrow('ENOENT');
  });
});
