import { describe, expect, test } from 'vitest';
import { handler as reevaluate } from '../../functions/reevaluate.ts';
import type { CurrentPolicy } from '../../lib/current-policy.ts';
import { toFixedPolicy } from '../../lib/current-policy.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { followPolicy } from '../support/follow-policy.ts';
import { publish, sets } from '../support/policy-store.ts';
import { openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, memoryAudit, testBroker, testPolicy } from '../support/test-broker.ts';

async function startOpen() {
  const following = followPolicy();
  const first = await publish(following.store, sets.open);
  await following.current.keepFresh();
  return { ...following, first };
}

/** Gives what has been started every chance to end. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('keepFresh', () => {
  test('waits for the first set', async () => {
    const { current, first } = await startOpen();

    expect(current.policy.digest).toBe(first);
  });

  test('does not look again for ten seconds', async () => {
    const { current, store, clock, first } = await startOpen();
    await publish(store, sets.shut);

    clock.pass(9);
    await current.keepFresh();
    await settle();

    expect(current.policy.digest).toBe(first);
  });

  test('lets nobody wait whose last look is less than twenty seconds ago', async () => {
    const { current, store, clock, first } = await startOpen();
    const second = await publish(store, sets.shut);

    clock.pass(19);
    await current.keepFresh();
    const meanwhile = current.policy.digest;
    await settle();

    expect([meanwhile, current.policy.digest]).toEqual([first, second]);
  });

  // A process that was idle must not decide by what was withdrawn long ago.
  test.each([20, 86_400, -1])('waits for the look after %i seconds', async (seconds) => {
    const { current, store, clock } = await startOpen();
    const second = await publish(store, sets.shut);

    clock.pass(seconds);
    await current.keepFresh();

    expect(current.policy.digest).toBe(second);
  });

  test('looks once for all who come at a time', async () => {
    const { current, store, clock } = await startOpen();
    const second = await publish(store, sets.shut);
    clock.pass(60);

    await Promise.all(Array.from({ length: 50 }, async () => current.keepFresh()));

    expect(store.reads.slice(2)).toEqual(['current', second]);
  });
});

test('a policy that never changes is never looked for, and is in force', async () => {
  const policy = testPolicy();
  const fixed = toFixedPolicy(policy);

  await Promise.all([fixed.refresh(), fixed.keepFresh(), fixed.probe()]);

  expect(fixed.policy).toBe(policy);
});

describe('a broker whose policy set is replaced', () => {
  async function startBroker() {
    const following = await startOpen();
    const audit = memoryAudit();
    const { policy, refresh } = following.current;
    const broker = testBroker({ audit, policy, refreshPolicy: refresh });
    return { ...following, audit, broker };
  }

  // Threat 19: policy changed between the ticket and its use.
  test('refuses the tickets that were issued under the older set', async () => {
    const { broker, current, store, audit } = await startBroker();
    const { ticket } = await openSession(broker);
    const digest = await publish(store, sets.shut);
    await current.refresh();

    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ code: 'access-denied' });

    expect(audit.entries.slice(-2)).toMatchObject([
      { type: 'session.denied', digest, policies: ['shut'] },
      { type: 'ticket.refused', code: 'access-denied' },
    ]);
  });

  test('ends open sessions by it when the timer next comes, without a request before', async () => {
    const { broker, store } = await startBroker();
    await openSession(broker);
    await reevaluate(undefined, undefined, broker);
    expect(await readState(broker)).toBe('ready');

    await publish(store, sets.shut);
    await reevaluate(undefined, undefined, broker);

    expect(await readState(broker)).toBe('ended');
  });

  async function readState(broker: ReturnType<typeof testBroker>): Promise<string> {
    return (await readSession(broker, ada, sessionId)).state;
  }

  test('ends no session while no set is in force', async () => {
    const { broker } = await startBroker();
    await openSession(broker);
    const started: CurrentPolicy = followPolicy().current;
    const blind = { ...broker, policy: started.policy, refreshPolicy: started.refresh };

    await expect(reevaluate(undefined, undefined, blind)).rejects.toMatchObject({
      code: 'policy-unavailable',
    });

    expect(await readState(broker)).toBe('ready');
  });
});
