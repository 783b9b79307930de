import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTable } from '../../lib/azure/table.ts';
import type { Table } from '../../lib/table.ts';
import type { Tables } from '../../local/azurite.ts';
import { startTables } from '../../local/azurite.ts';
import type { WireFault } from '../support/fault-proxy.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { describeTable } from '../support/table-contract.ts';

let folder: string;
let tables: Tables;
let opened = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-table-'));
  tables = await startTables({ folder, port: 0 });
});

afterAll(async () => {
  await tables.close();
  await rm(folder, { recursive: true });
});

function open(name = `table${opened++}`, url = new URL(tables.url)): Table {
  return openTable({ url, name, createIfMissing: true });
}

describeTable('openTable', () => Promise.resolve(open()));

test('list follows pages to the end, or to the limit', async () => {
  const table = open();
  const numbers = Array.from({ length: 2100 }, (_, n) => n);
  await table.put(
    numbers.map((n) => ({ partition: 'p', row: String(n).padStart(4, '0'), values: { n } })),
  );

  expect((await table.list('p')).map(({ values }) => values['n'])).toEqual(numbers);
  expect(await table.list('p', { limit: 1500 })).toHaveLength(1500);
});

test('a missing table is a failure, not an absent row', async () => {
  const table = openTable({ url: new URL(tables.url), name: 'missing', createIfMissing: false });
  const calls = [
    table.find('p', 'r'),
    table.remove('p', 'r'),
    table.insert(row),
    table.replace({ ...row, etag }),
  ];

  await Promise.all(
    calls.map((call) => expect(call).rejects.toMatchObject({ code: 'state-unavailable' })),
  );
});

test('a failure names what the service said, and holds no credential', async () => {
  const table = openTable({ url: new URL(tables.url), name: 'missing', createIfMissing: false });

  const failure: unknown = await table.find('p', 'r').catch((error: unknown) => error);

  const shown = inspect(failure, { depth: 20, showHidden: true });
  expect(shown).toContain('status 404, TableNotFound');
  expect(shown).not.toMatch(/authorization|SharedKey/i);
});

test.each(['http://example.com/', 'http://10.0.0.4/', 'ftp://127.0.0.1/', 'https://example.com/'])(
  'does not open %s, where keys or rows could be read, or nobody is known',
  (url) => {
    const open = () => openTable({ url: new URL(url), name: 't', createIfMissing: false });

    expect(open).toThrow(/must begin with https:|need a credential/);
  },
);

const etag = `W/"datetime'2026-01-01T00%3A00%3A00.0000000Z'"`;
const row = { partition: 'p', row: 'r', values: { nonce: 'ours' } };
const rows = ['1', '2', '3'].map((key) => ({ ...row, row: key }));
const faults: readonly WireFault[] = ['request-lost', 'answer-lost', 'answer-halved', 500, 503];

describe.each(faults)('after a fault on the wire (%s)', (fault) => {
  test('every write has been done once, and says so', async () => {
    await using wire = await openFaulty(fault);
    const { clean, faulty, breakNext } = wire;

    breakNext();
    expect(await faulty.insert(row)).toBe('inserted');
    breakNext();
    expect(await faulty.insertAll(rows)).toBe('inserted');
    const stored = await clean.find('p', 'r');
    if (stored === undefined) throw new Error('the row is missing');
    breakNext();
    expect(await faulty.replace({ ...stored, values: { nonce: 'next' } })).toBe('replaced');
    breakNext();
    await faulty.put([{ ...row, row: '2', values: { nonce: 'put' } }]);
    breakNext();
    await faulty.remove('p', '3');
    breakNext();

    const left = (await faulty.list('p')).map(({ row: key, values }) => [key, values['nonce']]);
    expect(left).toEqual([
      ['1', 'ours'],
      ['2', 'put'],
      ['r', 'next'],
    ]);
  });

  test('what another has written is not taken for our own', async () => {
    await using wire = await openFaulty(fault);
    const { clean, faulty, breakNext } = wire;
    await clean.insert({ ...row, values: { nonce: 'theirs' } });
    await clean.insert({ ...row, row: '2', values: { nonce: 'theirs' } });
    const read = await clean.find('p', 'r');
    if (read === undefined) throw new Error('the row is missing');
    await clean.replace({ ...read, values: { nonce: 'theirs again' } });

    breakNext();
    expect(await faulty.insert(row)).toBe('exists');
    breakNext();
    expect(await faulty.insertAll(rows)).toBe('exists');
    breakNext();
    expect(await faulty.replace({ ...read, values: { nonce: 'ours' } })).toBe('changed');
    expect(await clean.list('p')).toHaveLength(2);
  });
});

test('a call that is never answered is given up after two seconds and sent again', async () => {
  await using one = await openFaulty('answer-hangs');
  await using other = await openFaulty('answer-hangs');
  one.breakNext();
  other.breakNext();
  const start = performance.now();

  expect(await Promise.all([one.faulty.insert(row), other.faulty.insertAll(rows)])).toEqual([
    'inserted',
    'inserted',
  ]);

  expect(performance.now() - start).toBeLessThan(3000);
  expect(await other.clean.list('p')).toHaveLength(3);
});

describe('while the service stays away', () => {
  test('every call fails within seconds, and works again without a restart', async () => {
    let isAway = true;
    const proxy = await startFaultProxy(new URL(tables.url), () => (isAway ? 503 : undefined));
    const table = open(undefined, proxy.url);
    const failure = { code: 'state-unavailable', details: { retryAfterSeconds: 5 } };

    await Promise.all([
      expect(table.insert(row)).rejects.toMatchObject(failure),
      expect(table.insertAll(rows)).rejects.toMatchObject(failure),
      expect(table.find('p', 'r')).rejects.toMatchObject(failure),
      expect(table.replace({ ...row, etag })).rejects.toMatchObject(failure),
      expect(table.put(rows)).rejects.toMatchObject(failure),
      expect(table.remove('p', 'r')).rejects.toMatchObject(failure),
      expect(table.list('p')).rejects.toMatchObject(failure),
    ]);
    isAway = false;

    expect(await table.insert(row)).toBe('inserted');
    await proxy.close();
  });

  test('a credential that never answers holds no call for longer than five seconds', async () => {
    const credential = { getToken: () => new Promise<never>(() => {}) };
    const url = new URL('https://127.0.0.1:1/');
    const table = openTable({ url, name: 't', credential, createIfMissing: false });
    const start = performance.now();

    await expect(table.find('p', 'r')).rejects.toMatchObject({ code: 'state-unavailable' });

    expect(performance.now() - start).toBeLessThan(5500);
  });
});

/** Opens one table twice: directly, and over a wire where the call after `breakNext` meets the fault once. */
async function openFaulty(fault: WireFault) {
  let isBroken = false;
  const proxy = await startFaultProxy(new URL(tables.url), () => {
    if (!isBroken) return undefined;
    isBroken = false;
    return fault;
  });
  const name = `faulty${opened++}`;
  const faulty = open(name, proxy.url);
  await faulty.find('p', 'r');
  return {
    clean: open(name),
    faulty,
    breakNext: () => {
      isBroken = true;
    },
    [Symbol.asyncDispose]: proxy.close,
  };
}
