import { describe, expect, test } from 'vitest';
import { closeConnection } from '../../lib/close-connection.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import type { CrashBench } from '../support/crash-bench.ts';
import { crashEverywhere, startCrashBench } from '../support/crash-bench.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway, testPolicy } from '../support/test-broker.ts';

const ending = {
  session: sessionId,
  reason: 'client-closed',
  bytesUp: 1,
  bytesDown: 2,
  durationMilliseconds: 3,
} as const;

async function start() {
  const bench = startCrashBench({ policy: testPolicy({ maxConnections: 1 }) });
  const { ticket } = await openSession(bench.broker);
  return { ...bench, secret: ticket.ticket };
}

function isRecorded({ entries }: CrashBench, wanted: string): boolean {
  return entries.some(({ type }) => type === wanted);
}

function findLive({ state }: CrashBench): readonly unknown[] {
  return state.rows().filter(({ partition }) => /^(live|bytes)\|/.test(partition));
}

// The gateway goes on and does not know the connection, or it is gone too.
const recoveries = [
  [
    'the next lease',
    async ({ broker, clock }: CrashBench) => {
      clock.pass(61);
      await renewLeases(broker, gateway, { instance, connections: [] });
    },
  ],
  [
    'the reconciler, when the gateway is lost too',
    async ({ broker, clock }: CrashBench) => {
      clock.pass(141);
      await reconcile(broker);
    },
  ],
] as const;

describe('a redemption that is cut short at any call', () => {
  // Threat 23: every opened connection gets a close.
  test.each(recoveries)('is closed by %s, once it is recorded as opened', async (_by, recover) => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await start();
      const calls = await bench.run(crash, async () => redeem(bench.broker, bench.secret));

      await recover(bench);

      if (isRecorded(bench, 'connection.opened'))
        expect(isRecorded(bench, 'connection.closed')).toBe(true);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('leaves the place free for another connection after a minute', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await start();
      const { broker, clock } = bench;
      const calls = await bench.run(crash, async () => redeem(broker, bench.secret));
      clock.pass(61);
      await renewLeases(broker, gateway, { instance, connections: [] });
      const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });

      const next = redeem(broker, ticket, { nonce: broker.newId() });

      await expect(next).resolves.toMatchObject({ session: sessionId });
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('gives its one connection when the gateway repeats it, or none', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await start();
      const { broker } = bench;
      const calls = await bench.run(crash, async () => redeem(broker, bench.secret));

      const [again] = await Promise.allSettled([redeem(broker, bench.secret)]);

      if (again.status === 'fulfilled') expect(again.value.connection).toBe(nonce);
      else expect(again.reason).toMatchObject({ code: 'ticket-spent' });
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});

describe('a report of a close that is cut short at any call', () => {
  test.each(recoveries)('is completed by %s', async (_by, recover) => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await start();
      const { broker } = bench;
      await redeem(broker, bench.secret);
      const report = { instance, ...ending };
      const calls = await bench.run(crash, async () =>
        closeConnection(broker, gateway, nonce, report),
      );

      await recover(bench);

      expect(isRecorded(bench, 'connection.closed')).toBe(true);
      expect(findLive(bench)).toEqual([]);
      const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
      const next = redeem(broker, ticket, { nonce: broker.newId() });
      await expect(next).resolves.toBeDefined();
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is completed when the gateway repeats it', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await start();
      const { broker } = bench;
      await redeem(broker, bench.secret);
      const report = { instance, ...ending };
      const calls = await bench.run(crash, async () =>
        closeConnection(broker, gateway, nonce, report),
      );

      await closeConnection(broker, gateway, nonce, report);

      const closed = bench.entries.filter(({ type }) => type === 'connection.closed');
      expect(closed.length).toBeGreaterThanOrEqual(1);
      for (const entry of closed) expect(entry).toMatchObject(ending);
      expect(findLive(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});
