import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyFile } from '../policy-scan.ts';

/** Reads the `.cedar` files of a folder, in the order of their names. Fails when the folder cannot be read. */
export async function readPolicyFolder(folder: string): Promise<readonly PolicyFile[]> {
  return readFolder(folder, '.cedar');
}

/** Reads the `.json` files of a folder, in the order of their names. Fails when the folder cannot be read. */
export async function readCaseFolder(folder: string): Promise<readonly PolicyFile[]> {
  return readFolder(folder, '.json');
}

async function readFolder(folder: string, ending: string): Promise<readonly PolicyFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(ending)).sort();
  return Promise.all(
    names.map(async (name) => ({ name, text: await readFile(join(folder, name), 'utf8') })),
  );
}
