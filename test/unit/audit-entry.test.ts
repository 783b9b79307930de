import { describe, expect, test } from 'vitest';
import { auditEntryShape, auditListShape } from '../../lib/audit-view.ts';
import type { Receipt } from '../../lib/audit.ts';
import { BrokerError } from '../../lib/failure.ts';
import { call } from '../support/call.ts';
import { endSession } from '../support/audit-contract.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { auditor, startQueryBench } from '../support/query-bench.ts';
import { openSession, sessionId } from '../support/sessions.ts';
import { ada, eve } from '../support/test-broker.ts';
import { verifyProof } from '../support/verify-proof.ts';

collectLogLines();

function startLog() {
  const bench = startQueryBench({
    identify: async (token) => {
      const caller = [ada, eve, auditor].find(({ name }) => name === token);
      if (caller === undefined) throw new BrokerError('token-invalid', 'Sign in again.');
      return caller;
    },
  });
  const writer = bench.openWriter();
  const broker = { ...bench.broker, audit: { ...bench.broker.audit, append: writer.append } };
  const get = async (token: string, chain = '', seq: number | string = 1) =>
    call(broker, 'GET', '/api/audit/{chain}/{seq}', { token, params: { chain, seq: String(seq) } });
  const read = async ({ chain, sequence }: Pick<Receipt, 'chain' | 'sequence'>) =>
    auditEntryShape.parse((await get('audrey', chain, sequence)).body);
  return { ...bench, broker, writer, get, read };
}

describe('GET /api/audit/{chain}/{seq}', () => {
  test('200 with a proof that shows the entry to who has the root key alone', async () => {
    const { writer, openSealer, read, parts } = startLog();
    await writer.append([endSession('before')]);
    const [receipt] = await writer.append([endSession('a'), endSession('b'), endSession('c')]);
    await writer.append([endSession('after')]);
    if (receipt === undefined) throw new Error('no receipt');

    const unsealed = await read(receipt);
    await openSealer().seal();
    const sealed = await read(receipt);

    expect([unsealed, sealed]).toMatchObject([
      { hash: receipt.hash, sealed: null, body: { session: 'a' } },
      { hash: receipt.hash, sealed: 1, body: { session: 'a' } },
    ]);
    expect(unsealed.proof?.entries).toHaveLength(3);
    expect(sealed.proof?.entries).toHaveLength(4);
    expect(verifyProof([unsealed], parts.root.publicJwk)).toBeUndefined();
    expect(verifyProof([sealed], parts.root.publicJwk)).toBe(1);
  });

  test('200 with a proof in several answers where much was sealed at once', async () => {
    const { writer, openSealer, read, parts } = startLog();
    const receipts = await writer.append(
      Array.from({ length: 1200 }, (_, i) => endSession(`${i}`)),
    );
    await openSealer().seal();
    const { chain = '' } = receipts[0] ?? {};

    const views = [await read({ chain, sequence: 2 })];
    for (let next = views[0]?.proof?.next; next !== undefined; next = views.at(-1)?.proof?.next)
      views.push(await read({ chain, sequence: next }));

    expect(views.length).toBe(3);
    expect(verifyProof(views, parts.root.publicJwk)).toBe(1);
  });

  // What is changed in storage is no longer what was recorded, and the proof shows it.
  test('200 with a proof that fails where the entry was changed', async () => {
    const { writer, openSealer, read, parts, audit } = startLog();
    const [receipt] = await writer.append([endSession('a')]);
    await openSealer().seal();
    if (receipt === undefined) throw new Error('no receipt');
    const row = await audit.find(receipt.chain, '000000000002');
    const b = String(row?.values['b']).replace('deadline', 'unused');
    await audit.put([
      { partition: receipt.chain, row: '000000000002', values: { ...row?.values, b } },
    ]);

    const view = await read(receipt);

    expect(view).toMatchObject({ hash: null, body: { endReason: 'unused' } });
    expect(() => verifyProof([view], parts.root.publicJwk)).toThrow(
      'the proof is of another entry',
    );
  });

  test('200 for the caller of a session, without what others may not see', async () => {
    const { broker, get } = startLog();
    await openSession(broker);
    const { body } = await call(broker, 'GET', '/api/audit', {
      token: 'ada',
      query: { session: sessionId, type: 'session.allowed' },
    });
    const [item] = auditListShape.parse(body).value;

    const mine = await get('ada', item?.chain, item?.seq);
    const theirs = await get('eve', item?.chain, item?.seq);

    expect(mine).toMatchObject({ status: 200, body: { ...item, withheld: ['input'] } });
    expect(mine.body).not.toHaveProperty('proof');
    expect(theirs.status).toBe(404);
  });

  test.each([
    ['absent', '20260302-0000000000000000', 1],
    ['of no chain', 'cp', 1],
    ['of no place', '20260302-0000000000000000', 0],
    ['of a strange place', '20260302-0000000000000000', '1e3'],
  ])('404 for one that is %s', async (_name, chain, seq) => {
    const { get } = startLog();

    expect((await get('audrey', chain, seq)).status).toBe(404);
  });
});
