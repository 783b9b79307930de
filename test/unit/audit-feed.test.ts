import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { toCanonicalJson } from '../../lib/canonical-json.ts';
import { call } from '../support/call.ts';
import type { FeedBench } from '../support/feed-bench.ts';
import { drain, startFeedBench, toPlaceText } from '../support/feed-bench.ts';
import { collectLogLines } from '../support/log-lines.ts';

const hour = 3600;

collectLogLines();

async function ask({ broker }: FeedBench, query: Readonly<Record<string, string>>, token = 'ada') {
  return call(broker, 'GET', '/api/audit/feed', { token, query });
}

/** Announces a chain, and stores one entry of it. */
async function addChain({ audit, clock }: FeedBench, chain: string, type = 'chain.closed') {
  const b = JSON.stringify({ v: 1, type, time: clock.now(), chain, seq: 1, prev: null });
  await audit.insert({ partition: `chains|${chain.slice(0, 8)}`, row: chain, values: {} });
  await audit.insert({ partition: chain, row: '000000000001', values: { b, h: 'h' } });
}

describe('GET /api/audit/feed', () => {
  test('200 with every entry once, each chain in its order, and then with what is new', async () => {
    const bench = startFeedBench();
    const [one, other] = [bench.startWriter(), bench.startWriter()];
    const [first] = await one.append(2);
    await other.append(1);

    const begun = await drain(bench);
    await one.append(1);
    const then = await bench.poll({ cursor: begun.cursor });
    const last = await bench.poll({ cursor: then.cursor });

    expect(begun.entries.filter(({ chain }) => chain === first?.chain)).toMatchObject([
      { seq: 1, body: { type: 'chain.opened' } },
      { seq: 2, hash: first?.hash, body: { type: 'lock.lifted' } },
      { seq: 3 },
    ]);
    expect(begun.entries.length).toBe(5);
    expect(then.value).toMatchObject([{ chain: first?.chain, seq: 4 }]);
    expect(last).toMatchObject({ value: [], more: false });
  });

  test('200 with bodies whose canonical form has the hash beside them', async () => {
    const bench = startFeedBench();
    await bench.startWriter().append(1);

    const { value } = await bench.poll();

    for (const { hash, body } of value) {
      const text = `sallyport-audit-1\n${toCanonicalJson(body)}`;
      expect(createHash('sha256').update(text).digest('base64url')).toBe(hash);
    }
  });

  test('200 with no more than was asked for, and says that there is more', async () => {
    const bench = startFeedBench();
    await bench.startWriter().append(9);

    const page = await bench.poll({ limit: '4' });

    expect(page.value.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(page.more).toBe(true);
    expect((await drain(bench, { cursor: page.cursor })).entries.length).toBe(6);
  });

  test('200 with what was recorded around midnight, by a chain that was announced late, and by one that ended late', async () => {
    const bench = startFeedBench();
    const writer = bench.startWriter();
    bench.clock.pass(12 * hour - 60);
    await writer.append(1);
    let { cursor } = await drain(bench);
    bench.clock.pass(120);
    // Its clock says that it is the day before, still.
    const late = await bench.startWriter(-1800).append(1);
    const read = await drain(bench, { cursor });
    bench.clock.pass(6 * hour);
    // The day before ends for this writer now.
    await writer.append(1);
    ({ cursor } = await drain(bench, { cursor: read.cursor }));
    const [, ended] = (await drain(bench, { from: '2026-03-02' })).entries
      .filter(({ body }) => body?.['type'] === 'chain.closed')
      .map(toPlaceText)
      .concat('none');

    expect(late[0]?.chain).toMatch(/^20260302-/);
    expect(read.entries.map(({ chain }) => chain)).toContain(late[0]?.chain);
    expect(ended).toBe('none');
    expect((await drain(bench, { cursor })).entries).toEqual([]);
  });

  test('200 for a reader that was away for a month: everything since, from a cursor as short as before', async () => {
    const bench = startFeedBench();
    const { cursor } = await drain(bench);
    const places: string[] = [];
    for (let day = 0; day < 30; day += 1) {
      const receipts = await bench.startWriter().append(3);
      places.push(...receipts.map(({ chain, sequence }) => `${chain}:${String(sequence)}`));
      bench.clock.pass(24 * hour);
    }

    const read = await drain(bench, { cursor });

    expect(read.entries.map(toPlaceText)).toEqual(expect.arrayContaining(places));
    expect(new Set(read.entries.map(toPlaceText)).size).toBe(read.entries.length);
    expect(read.cursor.length).toBeLessThan(cursor.length + 400);
  });

  test('costs a handful of calls when nothing is new, whatever was recorded before', async () => {
    const bench = startFeedBench();
    const writer = bench.startWriter();
    await writer.append(2000);
    for (let ended = 0; ended < 30; ended += 1) {
      const other = bench.startWriter();
      await other.append(1);
      await other.close();
    }
    const { cursor } = await drain(bench);
    bench.listed.length = 0;

    await bench.poll({ cursor });

    expect(bench.listed.length).toBe(2);
  });

  test('looks at every one of a hundred chains whose writers were killed, within three calls', async () => {
    const bench = startFeedBench();
    const writers = Array.from({ length: 100 }, () => bench.startWriter());
    for (const writer of writers) await writer.append(1);
    let { cursor } = await drain(bench);
    bench.listed.length = 0;
    for (let turn = 0; turn < 3; turn += 1) ({ cursor } = await bench.poll({ cursor }));

    expect(new Set(bench.listed).size).toBe(101);
    expect(bench.listed.length).toBeLessThanOrEqual(3 * 41);
  });

  test('stays short enough for a URL with a thousand chains in a day, and loses none of them', async () => {
    const bench = startFeedBench();
    const toChain = (index: number): string =>
      `20260302-${(index * 0x9e3779b97f4).toString(16).padStart(16, '0')}`;
    for (let index = 1; index <= 1000; index += 1)
      await addChain(bench, toChain(index), 'session.repeated');
    const today = await drain(bench);
    bench.clock.pass(15 * hour);
    const tomorrow = await drain(bench, { cursor: today.cursor });
    bench.clock.pass(24 * hour);
    const later = await drain(bench, { cursor: tomorrow.cursor });
    const all = [...today.entries, ...tomorrow.entries, ...later.entries].map(({ chain }) => chain);

    expect(today.entries.length).toBe(800);
    expect(today.cursor.length).toBeLessThan(7500);
    expect(new Set(all).size).toBe(1000);
    expect(all.length).toBe(1000);
  });

  // A cursor holds no whole ids: an id that begins like that of a chain which is over must not pass for it.
  test('hands out a chain whose id begins as that of one that is over', async () => {
    const bench = startFeedBench();
    await addChain(bench, '20260302-abcdef0000000000');
    const { cursor } = await drain(bench);
    await addChain(bench, '20260302-abcdef0000000001');

    const read = await drain(bench, { cursor });
    const then = await drain(bench, { cursor: read.cursor });

    expect(read.entries.map(({ chain }) => chain)).toContain('20260302-abcdef0000000001');
    expect(then.entries).toEqual([]);
  });

  // What is short about the cursor of a past day is that ids up to one of them are over.
  test('hands out a chain that is announced an hour after its day, before all others in the list', async () => {
    const bench = startFeedBench();
    await addChain(bench, '20260302-abcdef0000000000');
    bench.clock.pass(12 * hour + 600);
    const { cursor } = await drain(bench, { from: '2026-03-02' });
    bench.clock.pass(3000);
    await addChain(bench, '20260302-0000000000000000');

    const { entries } = await drain(bench, { cursor });

    expect(entries.map(({ chain }) => chain)).toEqual(['20260302-0000000000000000']);
  });

  // Whoever can add rows, and nothing else, must not be able to hide what the broker records next.
  test('is not led past entries by a row that is far ahead, and hands that out once its day is over', async () => {
    const bench = startFeedBench();
    const writer = bench.startWriter();
    const [receipt] = await writer.append(1);
    const forged = {
      partition: receipt?.chain ?? '',
      row: '000000009999',
      values: { b: '{', h: 'x' },
    };
    await bench.audit.insert(forged);
    const first = await drain(bench);
    await writer.append(1);
    const second = await drain(bench, { cursor: first.cursor });
    bench.clock.pass(3 * 24 * hour);
    const third = await drain(bench, { cursor: second.cursor });

    expect(second.entries.map(({ seq }) => seq)).toEqual([3]);
    expect(third.entries).toEqual([{ chain: receipt?.chain, seq: 9999, hash: 'x' }]);
  });

  test('400 for a cursor that was changed, cut, made up, or given to somebody else', async () => {
    const bench = startFeedBench();
    const { cursor } = await bench.poll();
    const other = cursor.replace(/.(?=.{40}$)/, (letter) => (letter === 'A' ? 'B' : 'A'));

    for (const text of [other, cursor.slice(0, -4), 'x', '', 'e30.e30.e30'])
      expect(await ask(bench, { cursor: text })).toMatchObject({
        status: 400,
        body: { code: 'continuation-invalid' },
      });
    expect(await ask(bench, { cursor }, 'grace')).toMatchObject({ status: 400 });
  });

  test('400 for a cursor together with a day, and for a limit that is none', async () => {
    const bench = startFeedBench();
    const { cursor } = await bench.poll();

    expect(await ask(bench, { cursor, from: '2026-03-01' })).toMatchObject({ status: 400 });
    expect(await ask(bench, { limit: '1001' })).toMatchObject({ status: 400 });
    expect(await ask(bench, { from: 'yesterday' })).toMatchObject({ status: 400 });
  });

  test('403 without the role Audit.Read', async () => {
    expect(await ask(startFeedBench(), {}, 'eve')).toMatchObject({
      status: 403,
      body: { code: 'role-missing' },
    });
  });

  test('410 for a cursor of more than ninety days ago, and 200 the day before', async () => {
    const bench = startFeedBench();
    const { cursor } = await bench.poll();
    bench.clock.pass(89 * 24 * hour);
    expect(await ask(bench, { cursor })).toMatchObject({ status: 200 });
    bench.clock.pass(24 * hour);

    expect(await ask(bench, { cursor })).toMatchObject({
      status: 410,
      body: { code: 'continuation-expired' },
    });
  });
});
