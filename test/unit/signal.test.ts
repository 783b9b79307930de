import { describe, expect, test } from 'vitest';
import { terminateSession } from '../../lib/end-session.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { readSignals, sendSignal } from '../../lib/signal.ts';
import { memoryTable } from '../support/memory-table.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway, testBroker, testClock } from '../support/test-broker.ts';

const carried = { bytesUp: 0, bytesDown: 0 };
const connections = [{ connection: nonce, session: sessionId, ...carried }];
const close = { order: 'close', session: sessionId, reason: 'session-terminated' } as const;
const cut = [{ connection: nonce, verdict: 'close', reason: 'session-terminated' }];

async function startConnection(at?: string) {
  const clock = testClock(at);
  const state = memoryTable();
  const broker = testBroker({ now: clock.now, state });
  const { ticket } = await openSession(broker, { durationSeconds: 28_800 });
  await redeem(broker, ticket.ticket);
  return { broker, clock, state };
}

function countSignals({ rows }: Awaited<ReturnType<typeof startConnection>>['state']): number {
  return rows().filter(({ partition }) => partition.startsWith('sig|')).length;
}

describe('the lease of a gateway without a cursor', () => {
  test.each([
    ['59 minutes', 59 * 60, cut],
    ['61 minutes', 61 * 60, []],
  ] as const)('tells of a signal %s old as it should', async (_age, seconds, verdicts) => {
    const { broker, clock } = await startConnection();
    await terminateSession(broker, ada, sessionId);
    clock.pass(seconds);

    const answer = await renewLeases(broker, gateway, { instance, connections });

    expect(answer.verdicts).toEqual(verdicts);
  });

  test.each(['2026-03-02T23:40:00Z', '2026-12-31T23:40:00Z'])(
    'tells of a signal sent before midnight (%s)',
    async (at) => {
      const { broker, clock } = await startConnection(at);
      await terminateSession(broker, ada, sessionId);
      clock.pass(2400);

      const answer = await renewLeases(broker, gateway, { instance, connections });

      expect(answer.verdicts).toEqual(cut);
    },
  );
});

describe('the lease of a gateway with a cursor', () => {
  test('tells of a signal that was on its way when the cursor was given, also over midnight', async () => {
    const { broker, clock } = await startConnection('2026-03-02T23:59:50Z');
    await terminateSession(broker, ada, sessionId);
    clock.pass(59);
    const cursor = String(clock.now().getTime());
    clock.pass(15);

    const answer = await renewLeases(broker, gateway, { instance, cursor, connections });

    expect(answer.verdicts).toEqual(cut);
  });

  // A cursor is the gateway's word; an odd one must cost it nothing but a longer look.
  test.each(['', 'x', '9999999999999', '0000000000000', '17'])(
    'tells of a signal when the cursor is %j',
    async (cursor) => {
      const { broker } = await startConnection();
      await terminateSession(broker, ada, sessionId);

      const answer = await renewLeases(broker, gateway, { instance, cursor, connections });

      expect(answer.verdicts).toEqual(cut);
    },
  );

  test('does not tell again what is more than a minute older than the cursor', async () => {
    const { broker, clock } = await startConnection();
    await sendSignal(broker, close);
    clock.pass(61);
    const cursor = String(clock.now().getTime());

    const answer = await renewLeases(broker, gateway, { instance, cursor, connections });

    expect(answer.verdicts).toEqual([]);
  });

  test('tells a connection nothing about another session', async () => {
    const { broker } = await startConnection();
    const other = await openSession(broker, { id: broker.newId() });
    await terminateSession(broker, ada, other.id);

    const answer = await renewLeases(broker, gateway, { instance, connections });

    expect(answer.verdicts).toEqual([]);
  });

  test('tells the end of a session and not the deadline that came after it', async () => {
    const { broker } = await startConnection();
    const deadline = '2026-03-02T20:00:00.000Z';
    await sendSignal(broker, close);
    await sendSignal(broker, { order: 'deadline', session: sessionId, deadline });

    const answer = await renewLeases(broker, gateway, { instance, connections });

    expect(answer.verdicts).toEqual(cut);
  });

  test('answers a lease that names a connection twice', async () => {
    const { broker } = await startConnection();
    const twice = [...connections, { ...connections[0], bytesUp: 7 }].map((named) => ({
      ...carried,
      connection: nonce,
      session: sessionId,
      ...named,
    }));

    const answer = await renewLeases(broker, gateway, { instance, connections: twice });

    expect(answer.verdicts).toEqual([]);
  });
});

describe('the feed of signals', () => {
  test('gives a signal of a broker whose clock is past midnight already', async () => {
    const state = memoryTable();
    const ahead = testBroker({ state, now: () => new Date('2026-03-03T00:00:05Z') });
    const broker = testBroker({ state, now: () => new Date('2026-03-02T23:59:30Z') });
    await sendSignal(ahead, close);

    const signals = await readSignals(broker, new Date('2026-03-02T23:58:00Z'));

    expect(signals).toEqual([close]);
  });

  test('gives the oldest first', async () => {
    const clock = testClock('2026-03-02T23:59:00Z');
    const broker = testBroker({ now: clock.now });
    const since = clock.now();
    const deadlines = ['2026-03-03T01:00:00Z', '2026-03-03T02:00:00Z', '2026-03-03T03:00:00Z'];
    for (const deadline of deadlines) {
      await sendSignal(broker, { order: 'deadline', session: sessionId, deadline });
      clock.pass(40);
    }

    const signals = await readSignals(broker, since);

    expect(signals).toMatchObject(deadlines.map((deadline) => ({ deadline })));
  });

  // A caller who repeats a termination must not fill the feed that every lease reads.
  test('does not grow when an ended session is terminated again', async () => {
    const { broker, state } = await startConnection();
    await terminateSession(broker, ada, sessionId);
    const before = countSignals(state);

    await terminateSession(broker, ada, sessionId);
    await terminateSession(broker, ada, sessionId);

    expect([before, countSignals(state)]).toEqual([1, 1]);
  });
});
