import { describe, expect, test } from 'vitest';
import { listSessions } from '../../lib/list-sessions.ts';
import { openSession } from '../support/sessions.ts';
import { ada, grace, testBroker, testClock } from '../support/test-broker.ts';

function start() {
  const clock = testClock();
  return { clock, broker: testBroker({ now: clock.now }) };
}

describe('listSessions', () => {
  test('shows a caller only their own sessions, newest first', async () => {
    const { broker, clock } = start();
    const first = await openSession(broker, { id: broker.newId() });
    clock.pass(1);
    const second = await openSession(broker, { id: broker.newId() });
    await openSession(broker, { id: broker.newId(), caller: grace });

    const page = await listSessions(broker, ada, {});

    expect(page.value.map(({ id }) => id)).toEqual([second.id, first.id]);
  });

  test('shows everybody to who has the role, and refuses who has not', async () => {
    const { broker } = start();
    await openSession(broker);

    const page = await listSessions(broker, grace, { caller: 'all' });

    expect(page.value).toMatchObject([{ caller: { id: ada.id } }]);
    await expect(listSessions(broker, ada, { caller: 'all' })).rejects.toMatchObject({
      code: 'role-missing',
    });
  });

  test('gives every session once over several pages', async () => {
    const { broker, clock } = start();
    const roomy = { ...broker, limits: { ...broker.limits, sessionsPerCaller: 200 } };
    const ids: string[] = [];
    for (let i = 0; i < 120; i += 1) {
      const { id } = await openSession(roomy, { id: broker.newId() });
      ids.push(id);
      clock.pass(0.25);
    }

    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await listSessions(roomy, ada, after === undefined ? {} : { after });
      seen.push(...page.value.map(({ id }) => id));
      after = page.after;
    } while (after !== undefined);

    expect(seen).toEqual(ids.toReversed());
  });

  test('filters by status', async () => {
    const { broker } = start();
    await openSession(broker);

    expect((await listSessions(broker, ada, { status: 'ready' })).value).toHaveLength(1);
    expect((await listSessions(broker, ada, { status: 'ended' })).value).toHaveLength(0);
  });
});
