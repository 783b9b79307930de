import { describe, expect, test } from 'vitest';
import type { Caller } from '../../lib/caller.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { requestSession } from '../../lib/request-session.ts';
import { revokeDelegation } from '../../lib/revoke-delegation.ts';
import {
  actingFor,
  bot,
  delegated,
  delegationId,
  give,
  operator,
  robot,
  startDelegating,
} from '../support/delegations.ts';
import { memoryTable } from '../support/memory-table.ts';
import { instance, nonce, openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import { ada, eve, testTargets } from '../support/test-broker.ts';

const person = { id: ada.id, name: ada.name };

describe('a session under a delegation', () => {
  test('is recorded with both identities, and shows both', async () => {
    const { broker, audit } = startDelegating();
    await give(broker, { giver: { ...ada, groups: ['dev'], signedInAt: 1_772_452_700 } });

    const view = await openSession(broker, delegated);

    expect(view).toMatchObject({ caller: { id: bot.id }, onBehalfOf: person });
    expect(view).toMatchObject({
      delegation: delegationId,
      decision: { policies: ['bots', 'onBehalfOf:people'] },
    });
    expect(audit.entries.slice(1)).toMatchObject([
      {
        type: 'session.requested',
        caller: { id: bot.id },
        onBehalfOf: person,
        delegation: delegationId,
      },
      {
        type: 'session.allowed',
        input: {
          caller: { id: bot.id, kind: 'workload' },
          onBehalfOf: {
            id: ada.id,
            kind: 'person',
            groups: ['dev'],
            acrs: [],
            signInAgeSeconds: 100,
          },
          delegation: { id: delegationId, expiresAt: 1_772_456_400 },
        },
      },
      { type: 'ticket.issued' },
    ]);
  });

  test('is decided alike from what is recorded of it', async () => {
    const { broker, audit } = startDelegating();
    await give(broker, { limits: { maxBytes: 5 } });
    await openSession(broker, delegated);

    const allowed = audit.entries.find(({ type }) => type === 'session.allowed');
    if (allowed?.type !== 'session.allowed') throw new Error('nothing was allowed');
    const { input, policies, terms } = allowed;

    expect(broker.policy.decide(structuredClone(input))).toMatchObject({ policies, terms });
  });

  test('has the budgets of the delegation in its terms, and ends with it', async () => {
    const { broker } = startDelegating();
    const limits = { maxConnections: 1, maxBytes: 4096, maxDurationSeconds: 1800 };
    await give(broker, { limits, expiresAt: '2026-03-02T12:20:00Z' });

    const { terms, deadline, ticket } = await openSession(broker, delegated);

    expect(terms).toEqual(limits);
    expect(deadline).toBe('2026-03-02T12:20:00.000Z');
    expect((await redeem(broker, ticket.ticket)).terms).toEqual(limits);
  });

  test('is not extended beyond the end of the delegation', async () => {
    const { broker, clock } = startDelegating();
    await give(broker);
    await openSession(broker, { ...delegated, durationSeconds: 600 });
    clock.pass(300);

    const { view } = await extendSession(broker, bot, sessionId, { durationSeconds: 7200 });

    expect(view.deadline).toBe('2026-03-02T13:00:00.000Z');
  });

  test('lets one more ticket be made, and both be redeemed', async () => {
    const { broker } = startDelegating();
    await give(broker);
    const { ticket } = await openSession(broker, delegated);

    const more = await createTicket(broker, bot, sessionId, { form: 'jwt' });

    await expect(redeem(broker, ticket.ticket)).resolves.toBeDefined();
    await expect(redeem(broker, more.ticket, { nonce: instance })).resolves.toBeDefined();
  });

  test('is repeated by the same request, and by no other in its place', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);
    const asked = { ...ssh, delegation: delegationId };
    const id = { id: sessionId };

    expect(await requestSession(broker, bot, asked, id)).toMatchObject({ isNew: false });
    for (const [caller, other] of [
      [bot, ssh],
      [ada, asked],
      [actingFor(ada), asked],
    ] as const)
      await expect(requestSession(broker, caller, other, id)).rejects.toMatchObject({
        code: 'session-conflict',
      });
  });
});

describe('a request under a delegation', () => {
  const sentence = 'No such delegation is given to this caller.';
  const denial = 'No policy permits this caller this use of this target now, or there is no such';

  test.each<[string, Caller, string]>([
    ['is given to another', robot, sentence],
    ['is not there', bot, sentence],
    ['is named by who acts for somebody else already', actingFor(operator), sentence],
    ['is named by a person', { ...bot, kind: 'person' }, sentence],
  ])('that %s is refused, and recorded', async (situation, caller, message) => {
    const { broker, audit } = startDelegating();
    if (situation !== 'is not there') await give(broker);

    const refusal = openSession(broker, { ...delegated, caller });

    await expect(refusal).rejects.toMatchObject({ code: 'access-denied', message });
    expect(audit.entries.slice(-2)).toMatchObject([
      {
        type: 'session.requested',
        caller: { id: caller.id },
        request: { delegation: delegationId },
      },
      { type: 'session.refused', code: 'access-denied' },
    ]);
  });

  test('is refused when it is revoked, when it has ended, and on another port', async () => {
    const { broker, clock } = startDelegating();
    await give(broker);
    const ask = async () => openSession(broker, delegated);

    await expect(openSession(broker, { ...delegated, port: 2222 })).rejects.toMatchObject({
      message: 'The delegation is not about this protocol and port.',
    });
    await expect(
      openSession(broker, { ...delegated, protocol: 'tcp', port: 22 }),
    ).rejects.toMatchObject({ code: 'access-denied' });
    clock.pass(3600);
    await expect(ask()).rejects.toMatchObject({
      message: 'The delegation has ended. Ask for another one.',
    });
    await revokeDelegation(broker, ada, delegationId);
    await expect(ask()).rejects.toMatchObject({
      message: 'The delegation has been revoked. Ask for another one.',
    });
  });

  // Threat 13: a target that the delegation leaves out must not differ from one that is not there.
  test('is refused on a target that it leaves out as on one that is absent', async () => {
    const { broker } = startDelegating();
    await give(broker, { targets: [sessionId] });
    const absent = { ...broker, targets: testTargets([]) };

    const refusals = await Promise.all(
      [broker, absent].map(async (one) =>
        openSession(one, { ...delegated, id: one.newId() }).catch((failure: unknown) => failure),
      ),
    );

    expect(refusals[0]).toMatchObject({ code: 'access-denied', details: { advice: [] } });
    expect(String(refusals[0])).toContain(denial);
    expect(String(refusals[0])).toBe(String(refusals[1]));
  });

  test('is refused when policy permits only one of the two', async () => {
    const { broker, audit } = startDelegating();
    await give(broker, { giver: eve });

    await expect(openSession(broker, delegated)).rejects.toMatchObject({ code: 'access-denied' });
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'session.denied',
      policies: ['onBehalfOf:eve'],
    });
    await expect(openSession(broker, { caller: bot })).rejects.toMatchObject({
      code: 'access-denied',
    });
  });
});

describe('a number of sessions', () => {
  test('holds for requests at once in several processes', async () => {
    const state = memoryTable();
    const processes = [1, 2].map(() => startDelegating({ state }).broker);
    await Promise.all(
      processes.slice(0, 1).map(async (one) => give(one, { limits: { maxSessions: 3 } })),
    );

    const attempts = await Promise.allSettled(
      Array.from({ length: 12 }, async (_, i) => {
        const broker = processes[i % 2] ?? startDelegating({ state }).broker;
        const id = `5e551000-0000-4000-8000-0000000001${String(i).padStart(2, '0')}`;
        const newId = () => crypto.randomUUID();
        const limits = { ...broker.limits, sessionsPerCaller: 50 };
        return openSession({ ...broker, newId, limits }, { ...delegated, id });
      }),
    );

    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    const refused = attempts.find((attempt) => attempt.status === 'rejected');
    expect(refused?.reason).toMatchObject({
      code: 'access-denied',
      message: 'The delegation was good for 3 sessions. Ask for another one.',
    });
  });

  test('counts those that have ended, however long ago', async () => {
    const { broker, clock } = startDelegating();
    await give(broker, { limits: { maxSessions: 1 } });
    await openSession(broker, delegated);
    await terminateSession(broker, bot, sessionId);
    clock.pass(600);

    await expect(openSession(broker, { ...delegated, id: nonce })).rejects.toMatchObject({
      code: 'access-denied',
    });
  });

  test('does not count a request that came to nothing', async () => {
    const { broker } = startDelegating();
    await give(broker, { limits: { maxSessions: 1 } });
    const away = { ...broker, audit: { append: () => Promise.reject(new Error('down')) } };
    await expect(openSession(away, delegated)).rejects.toThrow('down');

    await expect(openSession(broker, delegated)).resolves.toBeDefined();
  });
});
