import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { Entry } from '../../lib/audit-tail.ts';
import type { AuditEvent } from '../../lib/audit.ts';
import { deliverNotices } from '../../lib/deliver-notices.ts';
import { toEntryBatches } from '../../lib/entry-batch.ts';
import { everyEntry } from '../../lib/notice.ts';
import type { Letter } from '../../lib/post-notice.ts';
import type { NoticeBench } from '../support/notice-bench.ts';
import { chat, findWaiting, lockEve, startTelling, tickets } from '../support/notice-bench.ts';
import { openSession, sessionId } from '../support/sessions.ts';

const siem = { ...tickets, name: 'siem', url: 'https://siem.test/', types: [everyEntry] };
const broker = new URL('https://broker.test');
const now = new Date('2026-03-02T12:00:00Z');
const lifted: AuditEvent = { type: 'lock.lifted', lock: 'lock-1', by: { id: 'a', name: 'ada' } };

const batchShape = z.array(z.record(z.string(), z.unknown()));

function readBatch({ body }: Pick<Letter, 'body'>): z.infer<typeof batchShape> {
  return batchShape.parse(JSON.parse(body));
}

function toEntry(sequence: number, body: Readonly<Record<string, unknown>> = {}): Entry {
  const time = '2026-03-02T11:59:00.000Z';
  return { chain: 'c', sequence, time, hash: 'h', body: { type: 'lock.lifted', time, ...body } };
}

function toLetters({ letters }: NoticeBench, receiver: string): readonly Letter[] {
  return letters.filter(({ url }) => url.href === receiver);
}

/** Returns the entries of the log, as events hold them. */
async function readStored({ broker: { audit } }: NoticeBench) {
  const { list = async () => [] } = audit;
  const [announced] = await list('chains|20260302');
  const rows = await list(announced?.row ?? '');
  return rows.map(({ partition: chain, row, values }) => {
    const body: unknown = JSON.parse(String(values['b']));
    return { chain, seq: Number(row), hash: values['h'], body };
  });
}

describe('a webhook that asks for every entry', () => {
  test('gets each of them once, whole, in signed batches', async () => {
    const bench = await startTelling({ webhooks: [siem] });
    await openSession(bench.broker, { reason: 'INC-1' });
    await lockEve(bench);
    bench.clock.pass(1);
    await deliverNotices(bench.broker);
    await deliverNotices(bench.broker);

    const stored = await readStored(bench);
    const chain = String(stored[0]?.chain);
    const [letter, ...others] = bench.letters;
    const events = readBatch(letter ?? { body: '[]' });
    expect(others).toEqual([]);
    expect(letter?.headers).toMatchObject({
      'content-type': 'application/cloudevents-batch+json; charset=utf-8',
      'webhook-id': `${chain}-1-${String(stored.length)}`,
    });
    expect(letter?.headers['webhook-signature']).toMatch(/^v1,/);
    expect(events.map(({ data }) => data)).toEqual(stored);
    expect(events[1]).toMatchObject({
      specversion: '1.0',
      id: `${chain}-2`,
      source: 'https://broker.test',
      type: 'sallyport.audit.session.requested',
      subject: sessionId,
      time: '2026-03-02T12:00:00.000Z',
    });
    expect(findWaiting(bench)).toEqual([]);
  });

  test('keeps them from a webhook that did not ask', async () => {
    const bench = await startTelling({ webhooks: [chat, siem] });
    await lockEve(bench);
    bench.clock.pass(1);
    await deliverNotices(bench.broker);

    const told = toLetters(bench, chat.url);
    expect(told.length).toBe(1);
    expect(JSON.stringify(told)).not.toContain('sallyport.audit');
  });

  test('gets a thousand entries in eleven letters, and again what was not taken', async () => {
    const bench = await startTelling({ webhooks: [siem] });
    await bench.broker.audit.append(Array.from({ length: 999 }, () => lifted));
    bench.answerWith(async () => ({ status: 500 }));
    bench.clock.pass(1);
    await deliverNotices(bench.broker);
    bench.answerWith(async () => ({ status: 204 }));
    const failed = bench.letters.length;
    for (let run = 0; run < 5; run += 1) {
      bench.clock.pass(15);
      await deliverNotices(bench.broker);
    }

    const ids = bench.letters
      .slice(failed)
      .flatMap((letter) => readBatch(letter).map(({ id }) => id));
    expect(bench.letters.length - failed).toBe(11);
    expect(new Set(ids).size).toBe(1000);
    expect(ids.length).toBe(1000);
  });

  test('gets an entry that is longer than a value of the table', async () => {
    const bench = await startTelling({ webhooks: [siem] });
    const name = 'é'.repeat(90_000);
    await bench.broker.audit.append([{ ...lifted, by: { id: 'a', name } }]);
    bench.clock.pass(1);
    await deliverNotices(bench.broker);

    const bodies = toLetters(bench, siem.url).flatMap((letter) => readBatch(letter));
    expect(bodies.at(-1)).toMatchObject({ data: { body: { by: { id: 'a', name } } } });
  });
});

describe('toEntryBatches', () => {
  test('ends a batch at a hundred entries, and before it is longer than receivers take', () => {
    const long = 'x'.repeat(45_000);
    const short = Array.from({ length: 150 }, (_, index) => toEntry(index + 1));
    const batches = toEntryBatches(
      [...short, ...[151, 152, 153].map((n) => toEntry(n, { long }))],
      broker,
      now,
    );

    expect(batches.map(({ id }) => id)).toEqual(['c-1-100', 'c-101-151', 'c-152-153']);
    for (const { body } of batches) expect(body.length).toBeLessThan(110_000);
  });

  test('tells of an entry that cannot be read, with its place and hash alone', () => {
    const [batch] = toEntryBatches([{ ...toEntry(7), time: '', body: { time: '' } }], broker, now);

    expect(batch?.time).toBe(now.toISOString());
    expect(readBatch(batch ?? { body: '[]' })).toEqual([
      {
        specversion: '1.0',
        id: 'c-7',
        source: 'https://broker.test',
        type: 'sallyport.audit',
        datacontenttype: 'application/json',
        data: { chain: 'c', seq: 7, hash: 'h' },
      },
    ]);
  });

  test('has ids without a full stop, which separates what is signed', () => {
    const [batch] = toEntryBatches([toEntry(1), toEntry(2)], broker, now);

    expect(batch?.id).not.toContain('.');
  });
});
