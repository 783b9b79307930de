import { describe, expect, test } from 'vitest';
import type { Row, Table } from '../../lib/table.ts';

/** States what every `Table` does. `open` gives a table without rows in the partitions that begin with its name. */
export function describeTable(name: string, open: () => Promise<Table>): void {
  describe(`the table that ${name} gives`, () => {
    test('returns a row with the values, keys and types that it was given', async () => {
      const table = await open();
      const values = {
        text: 'Ünïcode \u{1F600} "quoted" \\ \n',
        empty: '',
        long: 'x'.repeat(32_000),
        zero: 0,
        negative: -1,
        time: 1_790_000_000_000,
        largest: Number.MAX_SAFE_INTEGER,
        yes: true,
        no: false,
      };

      expect(await table.insert({ partition: "o'neill|a=b@c:d", row: "it's", values })).toBe(
        'inserted',
      );

      const row = await table.find("o'neill|a=b@c:d", "it's");
      expect(row).toMatchObject({ partition: "o'neill|a=b@c:d", row: "it's" });
      expect(row?.values).toStrictEqual(values);
    });

    test('finds nothing where there is nothing', async () => {
      const table = await open();

      expect(await table.find('p', 'absent')).toBeUndefined();
      expect(await table.list('absent')).toEqual([]);
    });

    test('inserts once, and says so again only for the same values', async () => {
      const table = await open();
      const row = { partition: 'once', row: 'r', values: { nonce: 'a', count: 1 } };

      expect(await table.insert(row)).toBe('inserted');
      expect(await table.insert(row)).toBe('inserted');
      expect(await table.insert({ ...row, values: { nonce: 'b', count: 1 } })).toBe('exists');
      expect(await table.insert({ ...row, values: { nonce: 'a' } })).toBe('exists');
      expect(await table.insert({ ...row, values: { nonce: 'a', count: 1, more: 0 } })).toBe(
        'exists',
      );
      expect((await table.find('once', 'r'))?.values).toEqual({ nonce: 'a', count: 1 });
    });

    test('lets exactly one of 20 insert a row', async () => {
      const table = await open();
      const rows = Array.from({ length: 20 }, (_, index) => ({
        partition: 'race',
        row: 'r',
        values: { nonce: index },
      }));

      const results = await Promise.all(rows.map(table.insert));

      expect(results.filter((result) => result === 'inserted')).toHaveLength(1);
    });

    test('inserts all rows of a transaction or none', async () => {
      const table = await open();
      const rows = makeRows('all', 100);
      const [first] = rows;

      expect(await table.insertAll(rows)).toBe('inserted');
      expect(await table.insertAll(rows)).toBe('inserted');
      expect(await table.insertAll(rows.slice(0, 1))).toBe('inserted');
      expect(await table.insertAll([...makeRows('all', 3, 98)])).toBe('exists');
      expect(await table.insertAll([...makeRows('all', 3, 99)].toReversed())).toBe('exists');
      expect(
        await table.insertAll([{ ...rows[0], partition: 'all', row: '000', values: { n: -1 } }]),
      ).toBe('exists');
      expect(await table.insertAll([])).toBe('inserted');
      expect(await table.list('all')).toMatchObject(rows);
      expect(first).toBeDefined();
    });

    test('replaces a row only while it is the version that was read', async () => {
      const table = await open();
      await table.insert({ partition: 'swap', row: 'r', values: { state: 'ready', extra: 1 } });
      const read = await table.find('swap', 'r');
      if (read === undefined) throw new Error('the row is missing');

      expect(await table.replace({ ...read, values: { state: 'active' } })).toBe('replaced');
      // Even to the same values: of two who do the same, one has done it.
      expect(await table.replace({ ...read, values: { state: 'active' } })).toBe('changed');
      expect(await table.replace({ ...read, values: { state: 'ended' } })).toBe('changed');
      expect((await table.find('swap', 'r'))?.values).toEqual({ state: 'active' });
      await table.remove('swap', 'r');
      expect(await table.replace({ ...read, values: { state: 'ended' } })).toBe('changed');
      expect(await table.find('swap', 'r')).toBeUndefined();
    });

    test('goes on with transactions after a conditional write', async () => {
      const table = await open();
      await table.insert({ partition: 'mixed', row: 'r', values: { n: 1 } });
      const read = await table.find('mixed', 'r');
      if (read === undefined) throw new Error('the row is missing');

      expect(await table.replace({ ...read, values: { n: 2 } })).toBe('replaced');
      expect(await table.insertAll(makeRows('mixed', 2))).toBe('inserted');
      expect((await table.find('mixed', 'r'))?.values).toEqual({ n: 2 });
    });

    test('puts rows whether or not they are there, in any number', async () => {
      const table = await open();
      await table.insert({ partition: 'put', row: '001', values: { old: true } });

      await table.put(makeRows('put', 130));
      await table.put([{ partition: 'put', row: '002', values: { n: -2 } }]);
      await table.put([]);

      const rows = await table.list('put');
      expect(rows).toHaveLength(130);
      expect(rows[1]?.values).toEqual({ n: 1 });
      expect(rows[2]?.values).toEqual({ n: -2 });
    });

    test('removes a row, and does not mind when it is gone', async () => {
      const table = await open();
      await table.insert({ partition: 'remove', row: 'r', values: {} });

      await table.remove('remove', 'r');
      await table.remove('remove', 'r');

      expect(await table.find('remove', 'r')).toBeUndefined();
    });

    test('lists a partition in order, within a range, up to a limit', async () => {
      const table = await open();
      await table.put(makeRows('list', 30).toReversed());
      await table.put(makeRows('list2', 1));
      const keys = async (range?: Parameters<Table['list']>[1]) =>
        (await table.list('list', range)).map(({ row }) => row).join(' ');

      expect((await table.list('list')).map(({ row }) => row)).toEqual(
        makeRows('list', 30).map(({ row }) => row),
      );
      expect(await keys({ from: '003', before: '006' })).toBe('003 004 005');
      expect(await keys({ from: '027' })).toBe('027 028 029');
      expect(await keys({ before: '002' })).toBe('000 001');
      expect(await keys({ from: '010', limit: 2 })).toBe('010 011');
      expect(await keys({ limit: 0 })).toBe('');
      expect(await keys({ from: "' or RowKey ge '", before: '001' })).toBe('000');
    });

    test.each([
      { partition: 'a/b', row: 'r' },
      { partition: 'a', row: 'b\\c' },
      { partition: 'a#', row: 'r' },
      { partition: 'a', row: 'b?' },
      { partition: 'a', row: 'b%2F' },
      { partition: 'a', row: 'b\u0000' },
      { partition: 'a', row: 'é' },
      { partition: '', row: 'r' },
      { partition: 'a', row: 'x'.repeat(513) },
    ])('refuses the keys $partition and $row', async (place) => {
      const table = await open();

      await expect(table.insert({ ...place, values: {} })).rejects.toThrow('malformed');
      await expect(table.put([{ ...place, values: {} }])).rejects.toThrow('malformed');
    });

    const refusal = /cannot be the name|not a safe integer|too long or holds a lone surrogate/;

    test.each([
      { half: 0.5 },
      { large: 2 ** 53 },
      { none: Number.NaN },
      { long: 'x'.repeat(32_001) },
      { lone: '\ud800' },
      { 'a.b': 1 },
      { PartitionKey: 'x' },
      { etag: 'x' },
    ])('refuses values that would not come back as they are (case %#)', async (values) => {
      const table = await open();
      const row: Row = { partition: 'p', row: 'r', values: Object.assign({}, values) };

      await expect(table.insert(row)).rejects.toThrow(refusal);
      await expect(table.insertAll([row])).rejects.toThrow(refusal);
      expect(await table.find('p', 'r')).toBeUndefined();
    });

    test('refuses a transaction that no table could keep whole', async () => {
      const table = await open();

      await expect(table.insertAll(makeRows('big', 101))).rejects.toThrow('100');
      await expect(table.insertAll([...makeRows('a', 1), ...makeRows('b', 1)])).rejects.toThrow(
        'partition',
      );
      await expect(table.insertAll([...makeRows('a', 1), ...makeRows('a', 1)])).rejects.toThrow(
        'different',
      );
    });
  });
}

function makeRows(partition: string, count: number, first = 0): readonly Row[] {
  return Array.from({ length: count }, (_, index) => ({
    partition,
    row: String(first + index).padStart(3, '0'),
    values: { n: first + index },
  }));
}
