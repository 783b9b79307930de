import { describe, expect, test } from 'vitest';
import { deliverNotices } from '../../lib/deliver-notices.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { liftLock } from '../../lib/manage-locks.ts';
import {
  chat,
  findLogged,
  findWaiting,
  lockEve,
  lockId,
  lockMany,
  readEvents,
  readTypes,
  startTelling,
  tickets,
} from '../support/notice-bench.ts';
import { openSession, sessionId } from '../support/sessions.ts';
import { ada, grace } from '../support/test-broker.ts';

describe('a receiver that fails', () => {
  test('is tried again, later each time, until it accepts', async () => {
    const bench = await startTelling();
    const { broker, clock, letters } = bench;
    const answers = [500, 302, 404];
    bench.answerWith(async () => {
      const status = answers[letters.length - 1];
      if (letters.length === 4) throw new Error('no answer');
      return { status: status ?? 202 };
    });
    await lockEve(bench);
    const sentAt: number[] = [];
    for (let second = 0; second < 900; second += 1) {
      clock.pass(1);
      const before = letters.length;
      await deliverNotices(broker);
      if (before < letters.length) sentAt.push(second);
    }

    expect(letters).toHaveLength(5);
    expect(new Set(letters.map(({ body }) => body)).size).toBe(1);
    const waits = sentAt.slice(1).map((at, i) => at - (sentAt[i] ?? 0));
    for (const [i, even] of [5, 20, 80, 320].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(Math.floor(even * 0.75));
      expect(waits[i]).toBeLessThanOrEqual(Math.ceil(even * 1.25) + 1);
    }
    expect(findLogged(bench, 'notice.failed')).toMatchObject([
      { webhook: 'chat', status: 500, attempts: 1, type: 'sallyport.lock.set' },
      { status: 302 },
      { status: 404 },
      { failure: new Error('no answer'), attempts: 4 },
    ]);
    expect(findWaiting(bench)).toEqual([]);
  });

  test('is given up after a day, and the log says so', async () => {
    const bench = await startTelling();
    bench.answerWith(async () => ({ status: 500 }));
    await lockEve(bench);
    for (let quarter = 0; quarter < 4 * 24; quarter += 1) {
      bench.clock.pass(900);
      await deliverNotices(bench.broker);
    }

    expect(findLogged(bench, 'notice.given-up')).toMatchObject([
      { webhook: 'chat', type: 'sallyport.lock.set' },
    ]);
    expect(bench.letters.length).toBeGreaterThanOrEqual(8);
    expect(findWaiting(bench)).toEqual([]);
  });

  test('gets nothing any more that is older than a day', async () => {
    const bench = await startTelling();
    bench.answerWith(async () => ({ status: 500 }));
    await lockEve(bench);
    bench.clock.pass(1);
    await deliverNotices(bench.broker);
    bench.clock.pass(86_400);

    const done = await deliverNotices(bench.broker);

    expect(done).toMatchObject({ givenUp: 1, failed: 0 });
    expect(bench.letters).toHaveLength(1);
    expect(findWaiting(bench)).toEqual([]);
  });

  test('costs a run a handful of attempts, however many notices wait', async () => {
    const bench = await startTelling();
    bench.answerWith(async () => ({ status: 503 }));
    await lockMany(bench, 40);
    bench.clock.pass(1);

    const done = await deliverNotices(bench.broker);

    expect(done.failed).toBeGreaterThanOrEqual(4);
    expect(done.failed).toBeLessThanOrEqual(7);
    expect(findWaiting(bench)).toHaveLength(40);
  });

  test('does not keep another one from being told', async () => {
    const bench = await startTelling({ webhooks: [chat, tickets] });
    bench.answerWith(async ({ url }) => ({ status: url.hostname === 'chat.test' ? 500 : 200 }));
    await lockMany(bench, 20);
    bench.clock.pass(1);

    await deliverNotices(bench.broker);

    const told = bench.letters.filter(({ url }) => url.hostname === 'tickets.test');
    expect(told).toHaveLength(20);
  });

  test('that says when it will listen again is left alone until then', async () => {
    const bench = await startTelling();
    const { broker, clock, letters } = bench;
    bench.answerWith(async () => ({ status: 429, retryAfter: '300' }));
    await lockEve(bench);
    clock.pass(1);
    await deliverNotices(broker);
    bench.answerWith(async () => ({ status: 200 }));
    await liftLock(broker, grace, lockId);

    clock.pass(299);
    await deliverNotices(broker);
    expect(letters).toHaveLength(1);
    clock.pass(2);
    await deliverNotices(broker);

    expect(readTypes(letters.slice(1))).toEqual(['sallyport.lock.lifted', 'sallyport.lock.set']);
  });

  test('that is gone is not told again for an hour', async () => {
    const bench = await startTelling();
    const { broker, clock, letters } = bench;
    bench.answerWith(async () => ({ status: 410 }));
    await lockEve(bench);
    clock.pass(1);
    await deliverNotices(broker);
    await liftLock(broker, grace, lockId);

    clock.pass(3599);
    await deliverNotices(broker);
    expect(letters).toHaveLength(1);
    clock.pass(1);
    await deliverNotices(broker);

    expect(readTypes(letters)).toEqual(['sallyport.lock.lifted', 'sallyport.lock.set']);
    expect(findLogged(bench, 'notice.given-up')).toHaveLength(2);
    expect(findLogged(bench, 'webhook.paused')).toHaveLength(2);
  });
});

describe('a table that fails', () => {
  // Between the record and the receiver there is no call whose failure, or the death of the process at it, loses a notice.
  test.each([
    ['state', false],
    ['state', true],
    ['audit', false],
    ['audit', true],
  ] as const)('at any call (%s; the process dies: %s) loses no notice', async (which, isDeath) => {
    let crashes = 0;
    for (const fault of ['before', 'after'] as const) {
      let isReached = true;
      for (let at = 0; isReached; at += 1) {
        let calls = Number.NEGATIVE_INFINITY;
        const findFault = () => {
          calls += 1;
          if (calls - 1 === at) return fault;
          return isDeath && at < calls - 1 ? 'before' : undefined;
        };
        const name = which === 'state' ? 'findStateFault' : 'findAuditFault';
        const bench = await startTelling({ [name]: findFault });
        await openSession(bench.broker);
        await terminateSession(bench.broker, ada, sessionId);
        bench.clock.pass(1);
        calls = 0;
        await deliverNotices(bench.broker).catch(() => undefined);
        isReached = at < calls;
        crashes += 1;
        calls = Number.NEGATIVE_INFINITY;
        for (let run = 0; run < 6; run += 1) {
          bench.clock.pass(15);
          await deliverNotices(bench.sibling);
        }

        const events = readEvents(bench.letters);
        const ids = new Set(events.map(({ id }) => id));
        expect([which, at, fault, ids.size]).toEqual([which, at, fault, 2]);
        for (const event of events)
          expect(event).toMatchObject({ data: { session: { caller: { name: 'ada' } } } });
        expect(findWaiting(bench)).toEqual([]);
      }
    }
    expect(crashes).toBeGreaterThan(which === 'state' ? 20 : 6);
  });

  test('lets what waits be sent when the audit log cannot be read', async () => {
    let isDown = false;
    const bench = await startTelling({ findAuditFault: () => (isDown ? 'before' : undefined) });
    bench.answerWith(async () => ({ status: 500 }));
    await lockEve(bench);
    bench.clock.pass(1);
    await deliverNotices(bench.broker);
    isDown = true;
    bench.answerWith(async () => ({ status: 200 }));
    bench.clock.pass(15);

    const done = await deliverNotices(bench.broker);

    expect(done).toMatchObject({ collected: 0, sent: 1 });
    expect(findLogged(bench, 'notices.not-collected')).toHaveLength(1);
  });

  test('passes over an entry and a session that cannot be read, and says which', async () => {
    const bench = await startTelling();
    const { broker, state, clock } = bench;
    await openSession(broker);
    await terminateSession(broker, ada, sessionId);
    await broker.audit.append([{ type: 'lock.lifted', lock: 'no id', by: ada }]);
    await lockEve(bench);
    await state.put([{ partition: sessionId, row: 'session', values: { b: '{}' } }]);
    clock.pass(1);

    await deliverNotices(broker);

    expect(readTypes(bench.letters)).toEqual([
      'sallyport.lock.set',
      'sallyport.session.ended',
      'sallyport.session.started',
    ]);
    expect(findLogged(bench, 'notice.unreadable')).toMatchObject([{ sequence: 6 }]);
    expect(findLogged(bench, 'notice.session-unreadable')).toHaveLength(2);
  });
});
