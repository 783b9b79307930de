import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createTokenStore } from '../../cli/token-store.ts';
import type { TokenStore } from '../../cli/token-store.ts';

let folder: string;
let lock: string;
let store: TokenStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-store-'));
  lock = join(folder, 'default.lock');
  store = createTokenStore(folder);
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('the lock of a profile', () => {
  // A refresh token that is shown twice ends the login.
  test('lets one in at a time when many find the lock of a holder that is gone', async () => {
    writeFileSync(lock, 'elsewhere 1 nonce');
    utimesSync(lock, 0, 0);
    let inside = 0;
    let most = 0;

    await Promise.all(
      Array.from({ length: 20 }, async () =>
        store.lock('default', async () => {
          inside += 1;
          most = Math.max(most, inside);
          for (let i = 0; i < 50; i += 1) await turn();
          inside -= 1;
        }),
      ),
    );

    expect(most).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is taken at once from a process that has died', async () => {
    const { pid } = spawnSync('true');
    writeFileSync(lock, `${hostname()} ${pid} nonce`);

    await expect(store.lock('default', async () => Promise.resolve('done'))).resolves.toBe('done');
  });

  test('is left to whoever took it over', async () => {
    await store.lock('default', async () => Promise.resolve(writeFileSync(lock, 'another holder')));

    expect(readFileSync(lock, 'utf8')).toBe('another holder');
  });
});

describe('the folder of the profiles', () => {
  test('keeps its mode when it was there before', async () => {
    const shared = join(folder, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o755);

    await createTokenStore(shared).lock('default', async () => Promise.resolve());

    expect(statSync(shared).mode & 0o777).toBe(0o755);
  });

  test('opens to its owner only when it is made', async () => {
    const own = join(folder, 'a', 'b');

    await createTokenStore(own).lock('default', async () => Promise.resolve());

    expect(existsSync(own)).toBe(true);
    expect(statSync(own).mode & 0o777).toBe(0o700);
  });
});
