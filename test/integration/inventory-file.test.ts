import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readInventory } from '../../lib/file/inventory-file.ts';

const id = '2f1b0000-0000-4000-8000-00000000bb5a';
const { signal } = new AbortController();
let folder = '';
let path = '';
let logged: string[] = [];

const log = (event: string): void => void logged.push(event);

/** Puts an inventory of one target in place at once, as an operator's tool should. */
async function write(text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

function inventoryOf(name: string, host = '10.30.0.5'): string {
  return JSON.stringify({ targets: [{ id, name, host, services: [] }] });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-'));
  path = join(folder, 'inventory.json');
  logged = [];
});

afterEach(async () => rm(folder, { recursive: true }));

describe('readInventory', () => {
  test('finds a target by its id, lists it, and names its host', async () => {
    await write(inventoryOf('db-1'));
    const source = await readInventory(path, log);
    const target = await source.find({ kind: 'id', id }, signal);
    expect(target).toMatchObject({ name: 'db-1', power: 'running' });
    expect(await source.list(signal)).toEqual([target]);
    expect(target && (await source.findHost(target, signal))).toBe('10.30.0.5');
  });

  test('finds nothing by another id or by an ARM id', async () => {
    await write(inventoryOf('db-1'));
    const source = await readInventory(path, log);
    const other = '00000000-0000-4000-8000-000000000000';
    expect(await source.find({ kind: 'id', id: other }, signal)).toBeUndefined();
    expect(await source.find({ kind: 'arm', armId: id }, signal)).toBeUndefined();
  });

  test('fails to open a file that is absent or has a fault', async () => {
    await expect(readInventory(path, log)).rejects.toThrow('ENOENT');
    await write(inventoryOf('db-1', 'db-1.example.com'));
    await expect(readInventory(path, log)).rejects.toThrow('/targets/0/host: ');
  });

  test('reads the file again when it has changed, and only then', async () => {
    await write(inventoryOf('db-1'));
    const source = await readInventory(path, log);
    await source.list(signal);
    await write(inventoryOf('db-2'));
    expect(await source.list(signal)).toMatchObject([{ name: 'db-2' }]);
    await Promise.all([source.list(signal), source.list(signal)]);
    expect(logged).toEqual(['inventory-read']);
  });

  test('keeps the last good version, and logs once, while the file has a fault', async () => {
    await write(inventoryOf('db-1'));
    const source = await readInventory(path, log);
    await write('{"targets": [');
    expect(await source.list(signal)).toMatchObject([{ name: 'db-1' }]);
    expect(await source.list(signal)).toMatchObject([{ name: 'db-1' }]);
    expect(logged).toEqual(['inventory-rejected']);
    await write(inventoryOf('db-2'));
    expect(await source.list(signal)).toMatchObject([{ name: 'db-2' }]);
  });

  test('keeps the last good version, and logs once, while the file is gone', async () => {
    await write(inventoryOf('db-1'));
    const source = await readInventory(path, log);
    await rm(path);
    expect(await source.list(signal)).toMatchObject([{ name: 'db-1' }]);
    expect(await source.list(signal)).toMatchObject([{ name: 'db-1' }]);
    expect(logged).toEqual(['inventory-rejected']);
    await write(inventoryOf('db-2'));
    expect(await source.list(signal)).toMatchObject([{ name: 'db-2' }]);
  });

  test('refuses to name the host of a target that it did not give', async () => {
    await write(inventoryOf('db-1'));
    const source = await readInventory(path, log);
    const [target] = await source.list(signal);
    if (target === undefined) throw new Error('there is no target');
    await expect(source.findHost({ ...target }, signal)).rejects.toThrow('not given by this');
  });
});
