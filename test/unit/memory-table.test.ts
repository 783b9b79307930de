import { expect, test } from 'vitest';
import type { TableFault } from '../support/memory-table.ts';
import { memoryTable } from '../support/memory-table.ts';
import { describeTable } from '../support/table-contract.ts';

describeTable('memoryTable', () => Promise.resolve(memoryTable()));

const row = { partition: 'p', row: 'r', values: { n: 1 } };

test('a call that fails before it is stored leaves nothing behind', async () => {
  let fault: TableFault | undefined = 'before';
  const table = memoryTable(() => fault);

  await expect(table.insert(row)).rejects.toMatchObject({ code: 'state-unavailable' });

  fault = undefined;
  expect(await table.find('p', 'r')).toBeUndefined();
});

test('a call that fails after it is stored can be sent again', async () => {
  let fault: TableFault | undefined = 'after';
  const table = memoryTable((operation) => (operation === 'insert' ? fault : undefined));

  await expect(table.insert(row)).rejects.toMatchObject({ code: 'state-unavailable' });

  fault = undefined;
  expect(table.rows()).toMatchObject([row]);
  expect(await table.insert(row)).toBe('inserted');
});
