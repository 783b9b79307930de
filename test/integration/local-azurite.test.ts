import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TableClient } from '@azure/data-tables';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startTables } from '../../local/azurite.ts';

describe('the local tables', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-tables-'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  test('keep every row across a clean close, again and again', async () => {
    for (let round = 1; round <= 4; round += 1) {
      const tables = await startTables({ folder, port: 0 });
      const client = openTable(tables.connectionString);
      await client.createTable();
      await client.createEntity({ partitionKey: 'round', rowKey: String(round) });

      expect(await countRows(client)).toBe(round);
      await tables.close();
    }
  });

  test('keep every one of many rows that came at once', async () => {
    const first = await startTables({ folder, port: 0 });
    const client = openTable(first.connectionString);
    await client.createTable();
    const rows = Array.from({ length: 300 }, (_, index) => ({
      partitionKey: 'many',
      rowKey: String(index),
      text: 'x'.repeat(1000),
    }));
    await Promise.all(rows.map((row) => client.createEntity(row)));
    await first.close();

    const second = await startTables({ folder, port: 0 });
    expect(await countRows(openTable(second.connectionString))).toBe(rows.length);
    await second.close();
  });

  test('run as a process that keeps its rows on SIGTERM and prints nothing else', async () => {
    const entry = fileURLToPath(new URL('../../local/tables.ts', import.meta.url));
    const child = spawn(process.execPath, [entry, '--port', '0', '--folder', folder]);
    const lines: string[] = [];
    const output = createInterface(child.stdout).on('line', (line) => lines.push(line));
    await once(output, 'line');
    const { connectionString } = z
      .object({ connectionString: z.string() })
      .parse(JSON.parse(lines[0] ?? ''));
    const client = openTable(connectionString);
    await client.createTable();
    await client.createEntity({ partitionKey: 'p', rowKey: 'r' });
    child.kill('SIGTERM');

    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(lines).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['tables.json']);
    const again = await startTables({ folder, port: 0 });
    expect(await countRows(openTable(again.connectionString))).toBe(1);
    await again.close();
  });
});

function openTable(connectionString: string): TableClient {
  return TableClient.fromConnectionString(connectionString, 'rows', {
    allowInsecureConnection: true,
  });
}

async function countRows(client: TableClient): Promise<number> {
  let count = 0;
  for await (const row of client.listEntities()) count += row.rowKey === undefined ? 0 : 1;
  return count;
}
