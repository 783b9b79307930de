import { createPublicKey, verify } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openKeyVaultKey } from '../../lib/azure/key-vault-key.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { toKid } from '../../lib/root-key.ts';
import type { FakeVault } from '../support/fake-vault.ts';
import { startFakeVault } from '../support/fake-vault.ts';

const data = Buffer.from('an endorsement');
const unavailable = { code: 'keys-unavailable', details: { retryAfterSeconds: 5 } };

describe('openKeyVaultKey', () => {
  let folder: string;
  let vault: FakeVault;
  let scopes: unknown[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-vault-'));
    vault = await startFakeVault(folder);
    vault.expect(data);
    scopes = [];
  });

  afterEach(async () => {
    vault.agent.destroy();
    await vault.close();
    await rm(folder, { recursive: true });
  });

  async function open(url = vault.url): Promise<RootKey> {
    const credential = {
      getToken: async (scope: unknown) => {
        scopes.push(scope);
        return { token: 'a-token', expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    };
    return openKeyVaultKey({ url, credential, agent: vault.agent });
  }

  test('reads the public key once, answers the challenge, and signs in the form of JWS', async () => {
    const root = await open();
    const signature = await root.sign(data);
    await root.sign(data);

    expect(root.publicJwk).toEqual(vault.publicJwk);
    expect(root.kid).toBe(toKid(vault.publicJwk));
    const key = createPublicKey({ key: root.publicJwk, format: 'jwk' });
    expect(verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
    expect(scopes.flat()).toEqual(scopes.map(() => 'https://vault.azure.net/.default'));
    const path = '/keys/root/0123456789abcdef';
    expect(vault.calls.filter((call) => !call.endsWith('none'))).toEqual([
      `GET ${path} Bearer a-token`,
      `POST ${path}/sign Bearer a-token`,
      `POST ${path}/sign Bearer a-token`,
    ]);
  });

  test('takes a key in an HSM as well', async () => {
    vault.mood.kty = 'EC-HSM';

    expect((await open()).publicJwk).toEqual(vault.publicJwk);
  });

  test.each(['foreign', 'der'] as const)('passes on no signature that is %s', async (signature) => {
    const root = await open();
    vault.mood.signature = signature;

    await expect(root.sign(data)).rejects.toMatchObject(unavailable);
  });

  test.each([403, 404, 500])(
    'fails when the vault answers %i, and signs again afterwards',
    async (status) => {
      const root = await open();
      vault.mood.status = status;

      await expect(root.sign(data)).rejects.toMatchObject(unavailable);
      await expect(open()).rejects.toMatchObject(unavailable);

      delete vault.mood.status;
      expect(await root.sign(data)).toHaveLength(64);
    },
  );

  test('fails when the key is on another curve', async () => {
    vault.mood.curve = 'P-384';

    await expect(open()).rejects.toMatchObject(unavailable);
  });

  test('shows no token in what it throws', async () => {
    const root = await open();
    vault.mood.status = 403;

    const failure: unknown = await root.sign(data).catch((error: unknown) => error);

    expect(inspect(failure, { depth: 20, showHidden: true })).not.toContain('a-token');
  });

  test('wants a version in the URL of the key', async () => {
    await expect(open(new URL('/keys/root', vault.url))).rejects.toThrow('version');
  });
});
