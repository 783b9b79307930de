import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { terminateSession } from '../../lib/end-session.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { listSessions, readSession } from '../../lib/list-sessions.ts';
import { setLock } from '../../lib/manage-locks.ts';
import { reevaluate } from '../../lib/reevaluate.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { requestSession } from '../../lib/request-session.ts';
import { terminateSessions } from '../../lib/terminate-sessions.ts';
import {
  actingFor,
  bot,
  botsAndPeople,
  delegated,
  give,
  operator,
  robot,
  startDelegating,
} from '../support/delegations.ts';
import { loadPolicyText } from '../support/policies.ts';
import { instance, nonce, openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import { ada, eve, gateway } from '../support/test-broker.ts';

const person = { id: ada.id, name: ada.name };
const carried = { bytesUp: 0, bytesDown: 0 };
const connections = [{ connection: nonce, session: sessionId, ...carried }];
const lock = { value: ada.id, message: 'Account under review.' };

describe('the person in whose name a session is', () => {
  test('sees it, and may end it', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);
    await openSession(broker, { caller: ada, id: nonce });

    const { value } = await listSessions(broker, ada, { onBehalfOf: 'me' });

    expect(value.map(({ id }) => id)).toEqual([sessionId]);
    expect(await readSession(broker, ada, sessionId)).toMatchObject({ onBehalfOf: person });
    expect(await terminateSession(broker, ada, sessionId)).toMatchObject({
      endReason: 'terminated',
    });
  });

  test('makes no ticket of it and does not extend it', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);

    for (const caller of [ada, actingFor(ada), robot]) {
      await expect(createTicket(broker, caller, sessionId, { form: 'jwt' })).rejects.toMatchObject({
        code: 'not-found',
      });
      await expect(
        extendSession(broker, caller, sessionId, { durationSeconds: 60 }),
      ).rejects.toMatchObject({ code: 'not-found' });
    }
  });

  test('is nobody else', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);

    expect(await listSessions(broker, eve, { onBehalfOf: 'me' })).toEqual({ value: [] });
    await expect(listSessions(broker, eve, { onBehalfOf: ada.id })).rejects.toMatchObject({
      code: 'role-missing',
    });
    expect(await listSessions(broker, operator, { onBehalfOf: ada.id })).toMatchObject({
      value: [{ id: sessionId }],
    });
    await expect(readSession(broker, eve, sessionId)).rejects.toMatchObject({ code: 'not-found' });
    await expect(terminateSession(broker, eve, sessionId)).rejects.toMatchObject({
      code: 'not-found',
    });
    const both = { onBehalfOf: 'me', caller: ada.id };
    await expect(listSessions(broker, ada, both)).rejects.toMatchObject({
      code: 'request-invalid',
    });
  });

  // Whoever locks a person out means what others do in their name too.
  test('is locked out with all that is done in their name', async () => {
    const { broker } = startDelegating();
    await give(broker);
    const { ticket } = await openSession(broker, delegated);
    await redeem(broker, ticket.ticket);
    const more = await createTicket(broker, bot, sessionId, { form: 'jwt' });
    const manager = { ...operator, roles: ['Lock.Manage'] as const };

    await setLock(broker, manager, instance, { kind: 'caller', ...lock });

    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });
    expect(verdicts).toMatchObject([{ verdict: 'close', reason: 'locked' }]);
    await expect(openSession(broker, { ...delegated, id: nonce })).rejects.toMatchObject({
      code: 'locked',
    });
    await expect(redeem(broker, more.ticket, { nonce: instance })).rejects.toMatchObject({
      code: 'locked',
    });
  });

  test('is meant where all sessions of a caller are ended', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);

    const filter = { caller: ada.id.toUpperCase() };
    expect(await terminateSessions(broker, operator, filter)).toEqual({
      terminated: [sessionId],
      hasMore: false,
    });
  });

  test('loses it when a new policy set no longer permits them', async () => {
    const { broker, audit } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);
    const policies = botsAndPeople.replace(eve.id, ada.id);
    const changed = { ...broker, policy: loadPolicyText(policies) };

    expect(await reevaluate(changed)).toBe(1);

    expect(audit.entries.slice(-2)).toMatchObject([
      { type: 'session.denied', policies: ['onBehalfOf:eve'] },
      { type: 'session.ended', endReason: 'policy' },
    ]);
  });
});

describe('a session of a token that names a person', () => {
  test('is decided about both, and recorded with both', async () => {
    const { broker, audit } = startDelegating();

    const view = await openSession(broker, { caller: actingFor(ada) });

    expect(view).toMatchObject({ caller: { id: bot.id }, onBehalfOf: person });
    expect(view).not.toHaveProperty('delegation');
    expect(audit.entries[0]).toMatchObject({ caller: { id: bot.id }, onBehalfOf: person });
    await expect(openSession(broker, { caller: actingFor(eve), id: nonce })).rejects.toMatchObject({
      code: 'access-denied',
    });
  });

  // Otherwise the workload would get more by leaving the person out, or by naming another.
  test.each([
    ['nobody', bot],
    ['another', actingFor(operator)],
  ])('is out of reach of a token for %s', async (_who, caller) => {
    const { broker } = startDelegating();
    await openSession(broker, { caller: actingFor(ada) });

    await expect(createTicket(broker, caller, sessionId, { form: 'jwt' })).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(
      extendSession(broker, caller, sessionId, { durationSeconds: 60 }),
    ).rejects.toMatchObject({ code: 'not-found' });
    await expect(requestSession(broker, caller, ssh, { id: sessionId })).rejects.toMatchObject({
      code: 'session-conflict',
    });
    await expect(
      createTicket(broker, actingFor(ada), sessionId, { form: 'jwt' }),
    ).resolves.toBeDefined();
  });
});
