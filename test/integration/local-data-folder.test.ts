import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultDataFolder, openDataFolder } from '../../local/data-folder.ts';
import { choosePort, portOf } from '../../local/free-port.ts';

describe('openDataFolder', () => {
  let parent: string;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'sallyport-data-'));
  });

  afterEach(() => {
    rmSync(parent, { recursive: true });
  });

  test('makes the folder for its owner alone', () => {
    const data = openDataFolder(join(parent, 'new', 'data'));

    expect(statSync(data.path).mode & 0o777).toBe(0o700);
    data.release();
  });

  test('refuses a folder that this process holds, until it is released', () => {
    const data = openDataFolder(parent);

    expect(() => openDataFolder(parent)).toThrow(/already uses the data folder .* --data/s);
    data.release();
    openDataFolder(parent).release();
  });

  test('refuses a folder that another living process holds, and takes it over once that is dead', async () => {
    const module = pathToFileURL(join(import.meta.dirname, '../../local/data-folder.ts')).href;
    const program = `
      const { openDataFolder } = await import(${JSON.stringify(module)});
      openDataFolder(${JSON.stringify(parent)});
      console.log('held');
      setInterval(() => undefined, 1000);`;
    const other = spawn(process.execPath, ['--input-type=module', '--eval', program]);
    await once(createInterface(other.stdout), 'line');

    expect(() => openDataFolder(parent)).toThrow(`Process ${other.pid} already uses`);
    other.kill('SIGKILL');
    await once(other, 'exit');
    const data = openDataFolder(parent);

    expect(readFileSync(join(parent, 'lock'), 'utf8')).toBe(`${process.pid}\n`);
    data.release();
  });

  test.each(['', 'no number', '0', '-1', String(process.pid)])(
    'takes over a lock that no other process can hold ("%s")',
    (content) => {
      writeFileSync(join(parent, 'lock'), content);

      const data = openDataFolder(parent);

      expect(readFileSync(join(parent, 'lock'), 'utf8')).toBe(`${process.pid}\n`);
      data.release();
    },
  );

  test('says that a folder is not writable', () => {
    writeFileSync(join(parent, 'file'), '');

    expect(() => openDataFolder(join(parent, 'file', 'data'))).toThrow(
      /^The data folder .* is not writable \(ENOTDIR\)\. Choose a folder/,
    );
  });
});

describe('defaultDataFolder', () => {
  test.each([
    ['linux', {}, '/home/a/.local/share/sallyport'],
    ['linux', { XDG_DATA_HOME: '/data' }, '/data/sallyport'],
    ['darwin', {}, '/home/a/Library/Application Support/sallyport'],
    ['win32', { LOCALAPPDATA: '/local' }, '/local/sallyport'],
  ])('is where %s keeps what belongs to one user (%o)', (platform, env, expected) => {
    expect(defaultDataFolder({ platform, env, home: '/home/a' })).toBe(expected);
  });
});

describe('choosePort', () => {
  test('returns the wanted port when it is free', async () => {
    const port = await choosePort();

    expect(await choosePort(port)).toBe(port);
  });

  test('says which port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = portOf(server.address());

    await expect(choosePort(port)).rejects.toThrow(`Port ${port} is in use: `);
    server.close();
  });
});
