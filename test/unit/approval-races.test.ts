import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import type { Policy } from '../../lib/decision.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { listApprovals } from '../../lib/list-approvals.ts';
import { setLock } from '../../lib/manage-locks.ts';
import { readOperation } from '../../lib/read-operation.ts';
import { reconcile } from '../../lib/reconcile.ts';
import type { Session } from '../../lib/session.ts';
import { findSession } from '../../lib/session.ts';
import {
  approvers,
  askFor,
  decide,
  grace,
  linus,
  needingPolicy,
  startApproving,
  toTypes,
} from '../support/approvals.ts';
import { sessionId } from '../support/sessions.ts';
import { ada, grace as operator, testPolicy } from '../support/test-broker.ts';
import { holdCall, wrapTable } from '../support/wrapped-table.ts';

const operation = { session: sessionId, isExtension: false };
const denial = { outcome: 'deny', policies: ['closed'], digest: 'test', advice: [] } as const;

/** Two broker processes that share all but the table calls of one, which can be held up. */
function startRacing(count = 1, changes: Partial<Broker> = {}) {
  const bench = startApproving(count, changes);
  /** Runs the work, and `meanwhile` right before its call of this number. Returns whether there was such a call. */
  const race = async (
    call: number,
    work: (slow: Broker) => Promise<unknown>,
    meanwhile: () => Promise<unknown>,
  ): Promise<boolean> => {
    const hitch = holdCall(call, async () => Promise.allSettled([meanwhile()]));
    const state = wrapTable(bench.broker.state, hitch.around);
    await Promise.allSettled([work({ ...bench.broker, state })]);
    return call < hitch.end();
  };
  return { ...bench, race };
}

/** Runs a scenario for each call in turn, until it says that there was none. Returns how many calls there were. */
async function raceEverywhere(scenario: (call: number) => Promise<boolean>): Promise<number> {
  for (let call = 0; ; call += 1)
    try {
      if (!(await scenario(call))) return call;
    } catch (cause) {
      throw new Error(`not sound when it happens before call ${String(call)}`, { cause });
    }
}

async function findNow(broker: Broker): Promise<Session | undefined> {
  return (await findSession(broker, sessionId))?.session;
}

async function isTicketGiven(broker: Broker): Promise<boolean> {
  const ticket = createTicket(broker, ada, sessionId, { form: 'jwt' });
  return ticket.then(
    () => true,
    () => false,
  );
}

describe('an approval, between any two of whose calls', () => {
  // Threat 21: an end is final.
  test('the session is terminated, does not bring it back', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, race } = startRacing();
      const view = await askFor(broker);

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => terminateSession(broker, ada, sessionId),
      );

      if (!isReached) return false;
      expect(await findNow(broker)).toMatchObject({ state: 'ended', endReason: 'terminated' });
      expect(await isTicketGiven(broker)).toBe(false);
      return true;
    });

    expect(calls).toBeGreaterThan(10);
  });

  test('another approver denies, ends in one state, and it is one that somebody decided', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, audit, race } = startRacing();
      const view = await askFor(broker);

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => decide(broker, linus, view, { decision: 'deny' }),
      );

      const { state, approval } = (await findNow(broker)) ?? {};
      expect([state, approval?.outcome]).toEqual(
        approval?.votes[0]?.by.id === linus.id ? ['denied', 'denied'] : ['ready', 'approved'],
      );
      expect(approval?.votes).toHaveLength(1);
      const refused = toTypes(audit.entries).filter((type) => type === 'approval.refused');
      const decided = toTypes(audit.entries).filter((type) => type === 'approval.decided');
      expect(decided.length - refused.length).toBe(1);
      return isReached;
    });

    expect(calls).toBeGreaterThan(10);
  });

  test('the request expires, leaves a session that has ended', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, clock, race } = startRacing();
      const view = await askFor(broker);

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => {
          clock.pass(9 * 3600);
          await reconcile(broker);
        },
      );
      clock.pass(9 * 3600);
      await reconcile(broker);

      expect((await findNow(broker))?.endReason).toBeDefined();
      expect(await isTicketGiven(broker)).toBe(false);
      return isReached;
    });

    expect(calls).toBeGreaterThan(5);
  });

  test.each([
    [
      'a lock is set',
      async (broker: Broker) =>
        setLock(broker, operator, '10c00000-0000-4000-8000-000000000001', {
          kind: 'caller',
          value: ada.id,
          message: 'Wait.',
        }),
      testPolicy(),
    ],
    ['policy changes', async () => undefined, { ...testPolicy(), decide: () => denial }],
  ])('%s, gives no ticket', async (_what, act, after) => {
    const calls = await raceEverywhere(async (call) => {
      let now = needingPolicy({ approval: { group: approvers, count: 1 } });
      const policy: Policy = { digest: 'changing', decide: (input) => now.decide(input) };
      const { broker, race } = startRacing(1, { policy });
      const view = await askFor(broker);

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => {
          await act(broker);
          now = after;
        },
      );

      if (isReached) expect(await isTicketGiven(broker)).toBe(false);
      return isReached;
    });

    expect(calls).toBeGreaterThan(5);
  });

  // Whoever waits asks for the status meanwhile, and each question takes a step.
  test('a step is taken by who asks, makes the session ready once', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, audit, clock, race } = startRacing();
      const view = await askFor(broker);

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => {
          clock.pass(5);
          await readOperation(broker, ada, operation);
        },
      );

      expect(await findNow(broker)).toMatchObject({ state: 'ready' });
      expect(audit.entries.filter(({ type }) => type === 'session.ready')).toHaveLength(1);
      return isReached;
    });

    expect(calls).toBeGreaterThan(10);
  });
});

describe('an approved extension, between any two of whose calls', () => {
  async function startExtending() {
    const racing = startRacing();
    const { broker, clock } = racing;
    await decide(broker, grace, await askFor(broker));
    clock.pass(1800);
    const { view } = await extendSession(broker, ada, sessionId, { durationSeconds: 3600 });
    return { ...racing, view };
  }

  test('the session is terminated, does not bring it back', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, race, view } = await startExtending();

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => terminateSession(broker, ada, sessionId),
      );

      if (isReached) expect(await findNow(broker)).toMatchObject({ endReason: 'terminated' });
      return isReached;
    });

    expect(calls).toBeGreaterThan(5);
  });

  test('another one is asked for, grants what was approved, or nothing', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, race, view } = await startExtending();

      const isReached = await race(
        call,
        async (slow) => decide(slow, grace, view),
        async () => extendSession(broker, ada, sessionId, { durationSeconds: 7200 }),
      );

      const { deadline } = (await findNow(broker)) ?? {};
      expect(['2026-03-02T13:00:00.000Z', '2026-03-02T13:30:00.000Z']).toContain(deadline);
      if (isReached)
        expect(await listApprovals(broker, linus)).toMatchObject([{ durationSeconds: 7200 }]);
      return isReached;
    });

    expect(calls).toBeGreaterThan(5);
  });
});

describe('two extensions at once', () => {
  test('leave the later deadline, whichever is written last', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, race } = startRacing(1, { policy: testPolicy() });
      await askFor(broker);

      const isReached = await race(
        call,
        async (slow) => extendSession(slow, ada, sessionId, { durationSeconds: 5400 }),
        async () => extendSession(broker, ada, sessionId, { durationSeconds: 7200 }),
      );

      if (isReached)
        expect(await findNow(broker)).toMatchObject({ deadline: '2026-03-02T14:00:00.000Z' });
      return isReached;
    });

    expect(calls).toBeGreaterThan(5);
  });
});

describe('two identical requests at once', () => {
  test('make one that approvers find', async () => {
    const calls = await raceEverywhere(async (call) => {
      const { broker, race } = startRacing();

      const isReached = await race(
        call,
        async (slow) => askFor(slow),
        async () => askFor(broker),
      );

      expect(await listApprovals(broker, linus)).toMatchObject([{ id: sessionId }]);
      return isReached;
    });

    expect(calls).toBeGreaterThan(5);
  });
});
