import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import type { Row, StoredRow } from '../../lib/table.ts';
import { endSession } from '../support/audit-contract.ts';
import { openTestAudit } from '../support/test-audit.ts';

type Change = (rows: readonly StoredRow[]) => readonly StoredRow[];

const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const foreignJwk = toPublicJwk(foreign.publicKey);

// With the right to write to storage alone. What was signed last can still be cut off whole: that takes checkpoints.
const attacks: readonly (readonly [string, string, Change])[] = [
  ['an edited entry', 'has another hash', edit(1, (values) => ({ ...values, b: forge(values) }))],
  [
    'an edited entry with its hash made anew',
    'does not follow',
    edit(1, (values) => ({ ...values, b: forge(values), h: toHash(forge(values)) })),
  ],
  [
    'an edited last entry with its hash made anew',
    'is not signed',
    edit(3, (values) => ({ ...values, b: forge(values), h: toHash(forge(values)) })),
  ],
  [
    'an edited last entry signed with a foreign key',
    'is not signed',
    edit(3, (values) => ({ ...reseal(forge(values)), kid: values['kid'] ?? '' })),
  ],
  ['a removed entry', 'is not in its place', (rows) => rows.filter((_, index) => index !== 1)],
  ['a removed end of a batch', 'is not signed', (rows) => rows.filter((_, index) => index !== 3)],
  ['a removed beginning', 'is not in its place', (rows) => rows.slice(1)],
  [
    'two entries swapped',
    'is moved',
    (rows) => rows.map((row, index) => ({ ...row, values: rows[swapped(index)]?.values ?? {} })),
  ],
  [
    'an appended entry',
    'is not signed',
    (rows) => rows.flatMap((row, i) => (i === 3 ? [row, append(row)] : [row])),
  ],
  [
    'a chain under a foreign key',
    'has no endorsed key',
    edit(4, (values) => ({ ...values, key: JSON.stringify(foreignJwk) })),
  ],
  ['a removed announcement', 'is not announced', (rows) => rows.slice(0, 4)],
];

describe('the chain', () => {
  test.each(attacks)('betrays %s', async (_, fault, change) => {
    const { audit, table, verify } = openTestAudit();
    await audit.append([endSession('a'), endSession('b'), endSession('c')]);

    const { faults } = await verify(change(table.rows()));

    expect(faults.join('\n')).toContain(fault);
  });

  test('betrays a whole chain that was removed, by the one after it', async () => {
    const { audit, clock, table, verify } = openTestAudit();
    await audit.append([endSession('a')]);
    clock.pass(86_400);
    await audit.append([endSession('b')]);

    const rest = table
      .rows()
      .filter(({ partition, row }) => !`${partition} ${row}`.includes('20260302'));

    expect((await verify(rest)).faults).toHaveLength(1);
  });
});

function edit(target: number, change: (values: Row['values']) => Row['values']): Change {
  return (rows) =>
    rows.map((row, index) => (index === target ? { ...row, values: change(row.values) } : row));
}

function forge({ b }: Row['values']): string {
  return String(b).replace('deadline', 'terminated');
}

function toHash(body: string): string {
  return createHash('sha256').update(`sallyport-audit-1\n${body}`).digest('base64url');
}

function reseal(body: string): Row['values'] {
  const key = { key: foreign.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  const s = sign('sha256', Buffer.from(`sallyport-audit-1\n${body}`), key).toString('base64url');
  return { b: body, h: toHash(body), s, kid: toKid(foreignJwk) };
}

function swapped(index: number): number {
  return index === 1 ? 2 : index === 2 ? 1 : index;
}

function append(last: StoredRow): StoredRow {
  const body = String(last.values['b'])
    .replace('"seq":4', '"seq":5')
    .replace(/"prev":"[^"]*"/, `"prev":"${String(last.values['h'])}"`);
  return { ...last, row: '000000000005', values: reseal(body) };
}
