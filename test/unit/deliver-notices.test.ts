import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { handler as timer } from '../../functions/deliver.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { deliverNotices } from '../../lib/deliver-notices.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { liftLock } from '../../lib/manage-locks.ts';
import { approver, approvers, askFor, decide, needingPolicy } from '../support/approvals.ts';
import {
  chat,
  chatSecret,
  findWaiting,
  lockEve,
  lockId,
  lockMany,
  readEvents,
  readTypes,
  startNoticeBench,
  startTelling,
  tickets,
} from '../support/notice-bench.ts';
import { openSession, sessionId } from '../support/sessions.ts';
import { ada, eve, grace, testBroker, vmHost } from '../support/test-broker.ts';

const day = 86_400;

describe('deliverNotices', () => {
  test('tells of a session’s start and end and of a lock, signed, and once', async () => {
    const bench = await startTelling();
    const { broker, clock, letters } = bench;
    const { ticket } = await openSession(broker, { reason: 'INC-1' });
    await terminateSession(broker, ada, sessionId);
    await lockEve(bench);
    await liftLock(broker, grace, lockId);
    clock.pass(1);

    const done = await deliverNotices(broker);
    await deliverNotices(broker);

    expect(done).toEqual({ collected: 4, sent: 4, failed: 0, givenUp: 0 });
    expect(readTypes(letters)).toEqual([
      'sallyport.lock.lifted',
      'sallyport.lock.set',
      'sallyport.session.ended',
      'sallyport.session.started',
    ]);
    for (const { url, headers, body } of letters) {
      expect(url.href).toBe(chat.url);
      expect(headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
      const signed = [headers['webhook-id'], headers['webhook-timestamp'], body].join('.');
      const hmac = createHmac('sha256', Buffer.from(chatSecret.slice(6), 'base64')).update(signed);
      expect(headers['webhook-signature']).toBe(`v1,${hmac.digest('base64')}`);
      expect(body).not.toContain(vmHost);
      expect(body).not.toContain(ticket.ticket);
    }
    expect(findWaiting(bench)).toEqual([]);
  });

  test('tells of a request that waits, of each decision, and of the start that they lead to', async () => {
    const policy = needingPolicy({ approval: { group: approvers, count: 2 } });
    const bench = await startTelling({ policy });
    const { broker, clock, letters } = bench;
    const view = await askFor(broker, { reason: 'INC-1' });
    await decide(broker, approver('grace'), view, { note: 'Go.' });
    await decide(broker, approver('linus'), view, { durationSeconds: 600 });
    await createTicket(broker, ada, sessionId, { form: 'jwt' });
    clock.pass(1);

    await deliverNotices(broker);

    const events = readEvents(letters);
    expect(readTypes(letters)).toEqual([
      'sallyport.approval.decided',
      'sallyport.approval.decided',
      'sallyport.session.requested',
      'sallyport.session.started',
    ]);
    expect(events.find(({ type }) => type === 'sallyport.session.requested')).toMatchObject({
      data: {
        session: { id: sessionId, caller: { name: 'ada' }, reason: 'INC-1' },
        needs: [{ group: approvers, count: 2 }],
      },
    });
    expect(events.find(({ type }) => type === 'sallyport.session.started')).toMatchObject({
      data: { session: { caller: { name: 'ada' } }, deadline: '2026-03-02T12:10:00.000Z' },
    });
  });

  test('tells of what policy forbids', async () => {
    const bench = await startTelling();
    await expect(openSession(bench.broker, { caller: eve })).rejects.toThrow('No policy');
    bench.clock.pass(1);

    await deliverNotices(bench.broker);

    expect(readEvents(bench.letters)).toMatchObject([
      {
        type: 'sallyport.session.denied',
        data: { session: { caller: { name: 'eve' }, target: { name: 'vm-1' }, protocol: 'ssh' } },
      },
    ]);
  });

  test('is what the timer does, which logs a run that had something to do', async () => {
    const bench = await startTelling();
    await timer(undefined, undefined, bench.broker);
    await lockEve(bench);
    bench.clock.pass(1);

    await timer(undefined, undefined, bench.broker);

    const run = { collected: 1, sent: 1, failed: 0, givenUp: 0 };
    expect(bench.logged).toEqual([['notices.delivered', run]]);
  });

  test('tells each receiver what it asked for', async () => {
    const bench = await startTelling({ webhooks: [chat, tickets] });
    await openSession(bench.broker);
    await lockEve(bench);
    bench.clock.pass(1);

    await deliverNotices(bench.broker);

    const findTold = (host: string) =>
      readTypes(bench.letters.filter(({ url }) => url.hostname === host));
    expect(findTold('chat.test')).toEqual(['sallyport.lock.set', 'sallyport.session.started']);
    expect(findTold('tickets.test')).toEqual(['sallyport.lock.set']);
  });

  test('does not tell what had happened before the first run', async () => {
    const bench = startNoticeBench();
    await openSession(bench.broker);
    bench.clock.pass(1);

    await deliverNotices(bench.broker);
    await terminateSession(bench.broker, ada, sessionId);
    bench.clock.pass(1);
    await deliverNotices(bench.broker);

    expect(readTypes(bench.letters)).toEqual(['sallyport.session.ended']);
  });

  test('tells what happened while no process ran, for a day', async () => {
    const bench = await startTelling();
    await lockEve(bench);
    bench.clock.pass(day - 60);
    await liftLock(bench.broker, grace, lockId);
    bench.clock.pass(61);

    const done = await deliverNotices(bench.broker);

    expect(done).toEqual({ collected: 1, sent: 1, failed: 0, givenUp: 0 });
    expect(readTypes(bench.letters)).toEqual(['sallyport.lock.lifted']);
  });

  test('costs no call when nobody is to be told, and none in a request when somebody is', async () => {
    const counts = [false, true].map(async (isTold) => {
      let calls = 0;
      const findStateFault = () => {
        calls += 1;
        return undefined;
      };
      const { broker, state } = startNoticeBench({ findStateFault });
      if (isTold) await openSession(broker);
      else {
        const silent = testBroker({ state, audit: broker.audit, now: broker.now });
        await openSession(silent);
        const before = calls;
        await deliverNotices(silent);
        expect(calls).toBe(before);
      }
      return calls;
    });

    const [silent, told] = await Promise.all(counts);
    expect(told).toBe(silent);
  });
});

describe('several processes', () => {
  test('send each notice once, however they meet', async () => {
    const bench = await startTelling();
    const { broker, sibling, clock, letters } = bench;
    for (let round = 0; round < 10; round += 1) {
      await lockMany(bench, 3);
      clock.pass(15);
      bench.answerWith(async () => {
        await Promise.resolve();
        return { status: 200 };
      });
      await Promise.all([broker, sibling, broker, sibling].map(deliverNotices));
    }
    clock.pass(15);
    await deliverNotices(sibling);

    const ids = readEvents(letters).map(({ id }) => id);
    expect(ids).toHaveLength(30);
    expect(new Set(ids).size).toBe(30);
  });

  test('take over within a minute from one that died, with the same id and a new time', async () => {
    const bench = await startTelling();
    const { broker, sibling, clock, letters } = bench;
    await lockEve(bench);
    clock.pass(1);
    bench.answerWith(async () => new Promise(() => undefined));
    void deliverNotices(broker);
    while (letters.length === 0) await Promise.resolve();
    bench.answerWith(async () => ({ status: 200 }));

    clock.pass(30);
    await deliverNotices(sibling);
    expect(letters).toHaveLength(1);
    clock.pass(30);
    await deliverNotices(sibling);

    const [first, second] = letters;
    expect(letters).toHaveLength(2);
    expect(second?.body).toBe(first?.body);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.headers['webhook-timestamp']).not.toBe(first?.headers['webhook-timestamp']);
  });

  test('leave each other alone also when one was stopped for longer than its turn', async () => {
    const bench = await startTelling();
    const { broker, sibling, clock, letters } = bench;
    const resume: (() => void)[] = [];
    bench.answerWith(async () => {
      await new Promise<void>((resolve) => void resume.push(resolve));
      return { status: 200 };
    });
    await lockEve(bench);
    clock.pass(1);
    const first = deliverNotices(broker);
    while (letters.length < 1) await Promise.resolve();
    clock.pass(61);
    const second = deliverNotices(sibling);
    while (letters.length < 2) await Promise.resolve();

    resume[0]?.();
    await first;
    await liftLock(broker, grace, lockId);
    clock.pass(1);
    const third = await deliverNotices(broker);
    resume[1]?.();
    await second;

    expect(third).toEqual({ collected: 0, sent: 0, failed: 0, givenUp: 0 });
    expect(letters).toHaveLength(2);
  });
});
