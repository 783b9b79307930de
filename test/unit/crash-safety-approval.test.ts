import { describe, expect, test } from 'vitest';
import { extendSession } from '../../lib/extend-session.ts';
import { BrokerError } from '../../lib/failure.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import type { Broker } from '../../lib/broker.ts';
import { noteProbe } from '../../lib/order-probe.ts';
import { verifyProbe } from '../../lib/probe.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import type { PowerState, Target } from '../../lib/target.ts';
import { reconcile } from '../../lib/reconcile.ts';
import type { Session } from '../../lib/session.ts';
import { findSession } from '../../lib/session.ts';
import type { Judgement } from '../../lib/approve-session.ts';
import { approvers, askFor, decide, grace, needingPolicy } from '../support/approvals.ts';
import type { CrashBench } from '../support/crash-bench.ts';
import { crashEverywhere, startCrashBench } from '../support/crash-bench.ts';
import { instance, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway, testBroker, testTargets, vm } from '../support/test-broker.ts';

const limits = { ...testBroker().limits, sessionsPerCaller: 1 };
const policy = needingPolicy({ approval: { group: approvers, count: 1 } });
const otherId = '5e551000-0000-4000-8000-000000000002';

function startBench(): CrashBench {
  return startCrashBench({ limits, policy });
}

async function findNow({ broker }: CrashBench): Promise<Session | undefined> {
  return (await findSession(broker, sessionId))?.session;
}

/** Lets time go by until everything has ended, and tells which rows of lists and places are left. */
async function findLeft(bench: CrashBench): Promise<readonly string[]> {
  const { broker, clock, state } = bench;
  // Twice the longest wait, and a run more for what another run has claimed.
  for (const seconds of [9 * 3600, 9 * 3600, 61]) {
    clock.pass(seconds);
    await reconcile(broker);
  }
  const lists = /^(?:due\||pending\n|preparing\n|u\|.*\nslot\|)/;
  return state
    .rows()
    .map(({ partition, row }) => `${partition}\n${row}`)
    .filter((place) => lists.test(place));
}

/** Finds the port open, as a gateway does that gets probes with its lease. */
async function answerProbes(broker: Broker): Promise<void> {
  const { probes } = await renewLeases(broker, gateway, { instance, connections: [] });
  for (const token of probes) {
    const verifier = { roots: broker.keys.roots, issuer: broker.url.origin, gateway: 'hub' };
    const { session, id } = verifyProbe(token, verifier, broker.now());
    await noteProbe(broker, gateway, { instance, session, probe: id, outcome: 'open' });
  }
}

/** Votes as `grace` does who got no answer: with what the request is now, as long as it waits. */
async function voteAgain(bench: CrashBench, decision: Judgement['decision']): Promise<void> {
  const { broker } = bench;
  const session = await findNow(bench);
  const { outcome } = session?.extension ?? session?.approval ?? {};
  if (outcome === undefined) await decide(broker, grace, await askFor(broker), { decision });
}

/** Whoever was counted is on the record, and the record does not say that they were not. */
async function expectTrueRecord(bench: CrashBench): Promise<void> {
  const { entries } = bench;
  const session = await findNow(bench);
  const { votes = [] } = session?.extension ?? session?.approval ?? {};
  const decided = entries.filter(({ type }) => type === 'approval.decided').length;
  const refused = entries.filter(({ type }) => type === 'approval.refused').length;
  expect(decided - refused).toBeGreaterThanOrEqual(votes.length);
}

describe('a request for an approval that is cut short at any call', () => {
  test('leaves nothing that waits for ever, and no place of its caller taken', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startBench();
      const { broker, clock } = bench;

      const calls = await bench.run(crash, async () => askFor(broker));

      clock.pass(61);
      const isStored = (await findNow(bench)) !== undefined;
      if (!isStored) await expect(askFor(broker, { id: otherId })).resolves.toBeDefined();
      expect(await findLeft(bench)).toEqual([]);
      if (isStored) expect(await findNow(bench)).toMatchObject({ endReason: 'unapproved' });
      return calls;
    });

    expect(crashes).toBeGreaterThan(20);
  });
});

describe('an approval that is cut short at any call', () => {
  test('is carried on by the next vote or by the timer', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startBench();
      const { broker, clock } = bench;
      const view = await askFor(broker);

      const calls = await bench.run(crash, async () => decide(broker, grace, view));

      await expectTrueRecord(bench);
      clock.pass(61);
      await voteAgain(bench, 'approve');
      await reconcile(broker);
      expect(await findNow(bench)).toMatchObject({ state: 'ready' });
      const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
      await expect(redeem(broker, ticket)).resolves.toBeDefined();
      expect(await findLeft(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(40);
  });

  test('gives no ticket before it counts', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startBench();
      const { broker } = bench;
      const view = await askFor(broker);

      const calls = await bench.run(crash, async () => decide(broker, grace, view));

      const isApproved = (await findNow(bench))?.approval?.outcome === 'approved';
      const ticket = createTicket(broker, ada, sessionId, { form: 'jwt' });
      if (!isApproved) await expect(ticket).rejects.toMatchObject({ code: 'session-waiting' });
      else await ticket.catch(() => undefined);
      return calls;
    });

    expect(crashes).toBeGreaterThan(40);
  });
});

describe('a denial that is cut short at any call', () => {
  // Who was denied has their place back at once, and not after the eight hours that a request may wait.
  test('ends the request within minutes once it counts', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startBench();
      const { broker, clock } = bench;
      const view = await askFor(broker);

      const calls = await bench.run(crash, async () =>
        decide(broker, grace, view, { decision: 'deny' }),
      );

      await expectTrueRecord(bench);
      await voteAgain(bench, 'deny');
      clock.pass(61);
      await reconcile(broker);
      expect(await findNow(bench)).toMatchObject({ state: 'denied', endReason: 'denied' });
      await expect(askFor(broker, { id: otherId })).resolves.toBeDefined();
      expect(await findLeft(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(40);
  });
});

describe('a step to make a session ready that is cut short at any call', () => {
  test('is taken again by the timer', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startBench();
      const { broker, clock } = bench;
      const find = () => Promise.reject(new BrokerError('targets-unavailable', 'Try again.'));
      const view = await askFor(broker);
      await decide({ ...broker, targets: { ...testTargets(), find } }, grace, view);
      clock.pass(30);

      const calls = await bench.run(crash, async () => reconcile(broker));

      clock.pass(61);
      await reconcile(broker);
      expect(await findNow(bench)).toMatchObject({ state: 'ready' });
      expect(await findLeft(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(20);
  });
});

describe('a start that is cut short at any call', () => {
  test('is on the record before it is asked for, and goes on with the next step', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      let power: PowerState = 'deallocated';
      const target: Target = { ...vm, source: 'arm', armId: '/subscriptions/s/vm-1', power };
      const unrecorded: number[] = [];
      const start = async () => {
        const recorded = bench.entries.filter(({ type }) => type === 'target.started');
        if (recorded.length === 0) unrecorded.push(1);
        power = 'running';
        return undefined;
      };
      const nothing = async () => undefined;
      const bench = startCrashBench({
        limits,
        targets: { ...testTargets(), find: async () => ({ ...target, power }) },
        power: { start, checkStart: nothing, deallocate: nothing },
      });
      const { broker, clock } = bench;

      const calls = await bench.run(crash, async () => askFor(broker, { start: true }));

      expect(unrecorded).toEqual([]);
      clock.pass(61);
      if ((await findNow(bench)) === undefined) power = 'deallocated';
      await askFor(broker, { start: true });
      for (let run = 0; run < 3; run += 1) {
        clock.pass(30);
        await reconcile(broker);
        await answerProbes(broker);
      }
      expect(await findNow(bench)).toMatchObject({ state: 'ready' });
      // A VM runs long before its services do, whoever knows that it was started.
      expect(bench.entries.map(({ type }) => type)).toContain('probe.ordered');
      expect(await findLeft(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(40);
  });
});

describe('an extension that needs an approval and is cut short at any call', () => {
  async function startExtending(): Promise<CrashBench> {
    const bench = startBench();
    const { broker, clock } = bench;
    await decide(broker, grace, await askFor(broker));
    const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
    await redeem(broker, ticket);
    clock.pass(1800);
    return bench;
  }

  const wish = { durationSeconds: 3600 };

  test('can be asked for again', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startExtending();
      const { broker, clock } = bench;
      const calls = await bench.run(crash, async () => extendSession(broker, ada, sessionId, wish));
      clock.pass(1);

      const { view } = await extendSession(broker, ada, sessionId, wish);
      const extended = await decide(broker, grace, view);
      expect(extended.deadline).toBe('2026-03-02T13:30:01.000Z');
      expect(await findLeft(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('gives the later deadline, on the record, once it is approved again', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = await startExtending();
      const { broker } = bench;
      const { view } = await extendSession(broker, ada, sessionId, wish);

      const calls = await bench.run(crash, async () => decide(broker, grace, view));

      await expectTrueRecord(bench);
      await voteAgain(bench, 'approve');
      expect(await findNow(bench)).toMatchObject({
        deadline: '2026-03-02T13:30:00.000Z',
        extension: { outcome: 'approved' },
      });
      expect(await findLeft(bench)).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(20);
  });
});
