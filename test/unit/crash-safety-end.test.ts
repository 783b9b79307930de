import { describe, expect, test } from 'vitest';
import { terminateSession } from '../../lib/end-session.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { reevaluate } from '../../lib/reevaluate.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { findSession } from '../../lib/session.ts';
import type { CrashBench } from '../support/crash-bench.ts';
import { crashEverywhere, startCrashBench } from '../support/crash-bench.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway, testBroker, testPolicy } from '../support/test-broker.ts';

const connections = [{ connection: nonce, session: sessionId, bytesUp: 0, bytesDown: 0 }];
const deny = () => ({ outcome: 'deny', policies: ['no'], digest: 'n', advice: [] }) as const;

async function startConnection(changes: Parameters<typeof testBroker>[0] = {}) {
  const limits = { ...testBroker().limits, sessionsPerCaller: 1 };
  const bench = startCrashBench({ limits, ...changes });
  const { ticket } = await openSession(bench.broker);
  await redeem(bench.broker, ticket.ticket);
  const { cursor } = await renewLeases(bench.broker, gateway, { instance, connections });
  return { ...bench, cursor };
}

function findRows({ state }: CrashBench, prefix: string) {
  return state
    .rows()
    .filter(({ partition, row }) => partition.startsWith(prefix) || row.startsWith(prefix));
}

function countEnds({ entries }: CrashBench): number {
  return entries.filter(({ type }) => type === 'session.ended').length;
}

// An order stands in the list of what is due, beside the row that is there from the beginning.
async function isOrdered(bench: CrashBench): Promise<boolean> {
  return 1 < findRows(bench, 'due|').length || (await findState(bench)) === 'ended';
}

async function findState({ broker }: CrashBench): Promise<string | undefined> {
  return (await findSession(broker, sessionId))?.session.state;
}

async function expectEnded(bench: CrashBench & { readonly cursor: string }) {
  const { broker, cursor } = bench;
  expect(await findState(bench)).toBe('ended');
  expect(countEnds(bench)).toBeGreaterThanOrEqual(1);
  expect(findRows(bench, 'due|')).toEqual([]);
  expect(findRows(bench, 'slot|').filter(({ partition }) => partition !== sessionId)).toEqual([]);
  const { verdicts } = await renewLeases(broker, gateway, { instance, cursor, connections });
  expect(verdicts).toMatchObject([{ connection: nonce, verdict: 'close' }]);
}

describe('a termination that is cut short at any call', () => {
  // Whoever has ordered an end, and whose order was stored, must not find the tunnel open because a process died.
  test('is carried out by the reconciler once it is ordered', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const { broker, clock } = bench;
      const calls = await bench.run(crash, async () => terminateSession(broker, ada, sessionId));
      const mustEnd = await isOrdered(bench);
      clock.pass(61);

      await reconcile(broker);

      if (mustEnd) await expectEnded(bench);
      else expect(await findState(bench)).toBe('active');
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is not recorded unless it comes', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const { broker, clock } = bench;
      const calls = await bench.run(crash, async () => terminateSession(broker, ada, sessionId));
      clock.pass(61);

      await reconcile(broker);

      if (0 < countEnds(bench)) expect(await findState(bench)).toBe('ended');
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is carried out when the reconciler is cut short as well', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const { broker, clock } = bench;
      const isSignal = { at: 5, fault: 'before', isDeath: true } as const;
      await bench.run(isSignal, async () => terminateSession(broker, ada, sessionId));
      clock.pass(61);
      const calls = await bench.run(crash, async () => reconcile(broker));
      clock.pass(61);

      await reconcile(broker);

      await expectEnded(bench);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is recorded with who ordered it, once at least, whoever carries it out', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const { broker, clock } = bench;
      const calls = await bench.run(crash, async () => terminateSession(broker, ada, sessionId));
      const mustEnd = await isOrdered(bench);
      clock.pass(61);

      await reconcile(broker);

      const ends = bench.entries.filter(({ type }) => type === 'session.ended');
      if (mustEnd) expect(ends).not.toEqual([]);
      for (const end of ends)
        expect(end).toMatchObject({ endReason: 'terminated', by: { id: ada.id } });
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});

describe('the end at a deadline, cut short at any call of the reconciler', () => {
  test('comes with a later run', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const { broker, clock } = bench;
      clock.pass(3601);
      const calls = await bench.run(crash, async () => reconcile(broker));
      clock.pass(61);

      await reconcile(broker);

      expect(await findState(bench)).toBe('ended');
      expect(countEnds(bench)).toBeGreaterThanOrEqual(1);
      expect(findRows(bench, 'due|')).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});

describe('an extension that is cut short at any call', () => {
  test('leaves a session that ends at the deadline that it then has, and no sooner', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const { broker, clock } = bench;
      clock.pass(1800);
      const wish = { durationSeconds: 3600 };
      const calls = await bench.run(crash, async () => extendSession(broker, ada, sessionId, wish));
      const deadline = (await findSession(broker, sessionId))?.session.deadline ?? '';
      clock.pass((Date.parse(deadline) - clock.now().getTime()) / 1000 - 1);
      await reconcile(broker);
      expect(await findState(bench)).toBe('active');
      clock.pass(2);
      await reconcile(broker);
      expect(await findState(bench)).toBe('ended');

      clock.pass(3600);
      await reconcile(broker);

      expect(findRows(bench, 'due|')).toEqual([]);
      expect(countEnds(bench)).toBe(1);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is told to the gateway when it is repeated', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection({ policy: testPolicy({ maxDurationSeconds: 5400 }) });
      const { broker, clock, cursor } = bench;
      const extend = async () => extendSession(broker, ada, sessionId, { durationSeconds: 3600 });
      clock.pass(1800);
      const calls = await bench.run(crash, extend);
      clock.pass(5);

      await extend();

      const lease = { instance, cursor, connections };
      expect((await renewLeases(broker, gateway, lease)).verdicts).toMatchObject([
        { verdict: 'deadline', deadline: '2026-03-02T13:30:00.000Z' },
      ]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});

describe('a new decision that is cut short at any call', () => {
  test('is made again within five minutes, and its end comes', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const broker = { ...bench.broker, policy: { digest: 'n', decide: deny } };
      const calls = await bench.run(crash, async () => reevaluate(broker));
      bench.clock.pass(301);

      await reevaluate(broker);
      await reconcile(broker);

      await expectEnded(bench);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is carried out by the reconciler alone once it is ordered', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startConnection();
      const broker = { ...bench.broker, policy: { digest: 'n', decide: deny } };
      const calls = await bench.run(crash, async () => reevaluate(broker));
      const mustEnd = await isOrdered(bench);
      bench.clock.pass(61);

      await reconcile(broker);

      if (mustEnd) await expectEnded(bench);
      else expect(await findState(bench)).toBe('active');
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});
