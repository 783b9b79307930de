import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import { BrokerError } from '../../lib/failure.ts';
import { listSessions } from '../../lib/list-sessions.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { requestSession } from '../../lib/request-session.ts';
import { memoryTable } from '../support/memory-table.ts';
import { openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import {
  ada,
  grace,
  memoryAudit,
  testBroker,
  testClock,
  testTargets,
} from '../support/test-broker.ts';

const id = sessionId;
const down = new BrokerError('audit-unavailable', 'Try again.');
const fail = async () => Promise.reject(down);
const limits = { ...testBroker().limits, sessionsPerCaller: 1 };

function start(changes: Partial<Broker> = {}) {
  const clock = testClock();
  const audit = memoryAudit();
  let isWithdrawalDown = false;
  const state = memoryTable((operation) =>
    isWithdrawalDown && operation === 'remove' ? 'before' : undefined,
  );
  const broker = testBroker({ now: clock.now, audit, state, ...changes });
  const breakWithdrawal = (isDown: boolean): void => {
    isWithdrawalDown = isDown;
  };
  return { clock, audit, state, broker, breakWithdrawal };
}

/** Requests a session, and while its target is looked up, has another attempt make one under its id. */
async function requestLate(
  broker: Broker,
  late: Caller,
  winner: () => Promise<unknown>,
): Promise<unknown> {
  const find = async () => {
    await winner();
    return testTargets().find({ kind: 'id', id: ssh.target }, AbortSignal.abort());
  };
  const slow = { ...broker, targets: { ...broker.targets, find } };
  return requestSession(slow, late, ssh, { id });
}

describe('two identical requests of which one fails after the other has succeeded', () => {
  test.each([
    ['the audit log is down', { audit: { append: fail } }],
    ['there is no key', { keys: { ...testBroker().keys, current: fail } }],
  ] as const)('leave the winner all that it has when %s for the other', async (_what, changes) => {
    const { broker, state } = start();
    let won: readonly unknown[] = [];

    const late = requestLate({ ...broker, ...changes }, ada, async () => {
      await openSession(broker);
      won = state.rows();
    });

    await expect(late).rejects.toBe(down);
    expect(won).toHaveLength(5);
    expect(state.rows()).toEqual(won);
  });

  test('leave a session that its caller sees, uses, and that ends', async () => {
    const { broker, clock } = start();
    const { ticket } = await new Promise<Awaited<ReturnType<typeof openSession>>>(
      (resolve, reject) => {
        requestLate(broker, ada, async () => resolve(await openSession(broker))).catch(reject);
      },
    );

    expect((await listSessions(broker, ada, {})).value).toMatchObject([{ id }]);
    await expect(redeem(broker, ticket.ticket)).resolves.toMatchObject({ session: id });
    clock.pass(3601);
    expect(await reconcile(broker)).toMatchObject({ sessions: 1 });
  });
});

describe('a caller who loses the race for an id to another caller', () => {
  // Threat 13: what belongs to another must not be seen by way of an id.
  test('is refused without a word about the session', async () => {
    const { broker } = start();

    const late = requestLate(broker, grace, async () => openSession(broker));

    await expect(late).rejects.toMatchObject({
      code: 'session-conflict',
      message: 'Choose a new id for a new session.',
      details: {},
    });
  });

  test.each([false, true])(
    'never sees that session in the own list (withdrawal cut short: %s)',
    async (isDown) => {
      const { broker, breakWithdrawal } = start();

      await requestLate(broker, grace, async () => {
        await openSession(broker);
        breakWithdrawal(isDown);
      }).catch(() => undefined);
      breakWithdrawal(false);

      const mine = await listSessions(broker, grace, {});
      const all = await listSessions(broker, grace, { caller: 'all' });
      expect(mine.value).toEqual([]);
      expect(all.value).toMatchObject([{ id, caller: { id: ada.id } }]);
    },
  );

  test('has the place back, after a minute at the latest', async () => {
    const { broker, breakWithdrawal, clock } = start({ limits });
    await requestLate(broker, grace, async () => {
      await openSession(broker);
      breakWithdrawal(true);
    }).catch(() => undefined);
    breakWithdrawal(false);
    const next = { id: broker.newId(), caller: grace };

    await expect(openSession(broker, next)).rejects.toMatchObject({ code: 'session-limit' });
    clock.pass(61);

    await expect(openSession(broker, next)).resolves.toMatchObject({ state: 'ready' });
  });

  test('does not end the session of the winner', async () => {
    const { broker, breakWithdrawal, clock, audit } = start();
    await requestLate(broker, grace, async () => {
      await openSession(broker, { durationSeconds: 7200 });
      breakWithdrawal(true);
    }).catch(() => undefined);
    breakWithdrawal(false);
    clock.pass(3601);

    await reconcile(broker);

    expect(audit.entries.filter(({ type }) => type === 'session.ended')).toEqual([]);
  });
});

describe('a repeated request', () => {
  test('of another caller is refused, whatever else is the same', async () => {
    const { broker } = start();
    await openSession(broker);

    const other = requestSession(broker, grace, ssh, { id });

    await expect(other).rejects.toMatchObject({ code: 'session-conflict' });
  });

  test('that met the first on its way is recorded, and gets no ticket', async () => {
    const { broker, audit } = start();

    const late = await requestLate(broker, ada, async () => openSession(broker));

    expect(late).toMatchObject({ isNew: false, view: { id } });
    expect(late).not.toHaveProperty('view.ticket');
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'session.repeated',
      caller: { id: ada.id },
    });
  });
});
