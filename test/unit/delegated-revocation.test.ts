import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { extendSession } from '../../lib/extend-session.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { reevaluate } from '../../lib/reevaluate.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { revokeDelegation } from '../../lib/revoke-delegation.ts';
import {
  bot,
  delegated,
  delegationId,
  give,
  revokeAndDie,
  startDelegating,
} from '../support/delegations.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway } from '../support/test-broker.ts';

const person = { id: ada.id, name: ada.name };
const carried = { bytesUp: 0, bytesDown: 0 };
const connections = [{ connection: nonce, session: sessionId, ...carried }];

function findEnd(entries: readonly AuditEvent[]): AuditEvent | undefined {
  return entries.find(({ type }) => type === 'session.ended');
}

describe('revoking a delegation', () => {
  test('ends its open sessions with a true reason, cuts their connections, and leaves others', async () => {
    const { broker, audit } = startDelegating();
    await give(broker);
    const { ticket } = await openSession(broker, delegated);
    await redeem(broker, ticket.ticket);
    await openSession(broker, { caller: ada, id: nonce });

    await revokeDelegation(broker, ada, delegationId);

    expect(await readSession(broker, bot, sessionId)).toMatchObject({
      state: 'ended',
      endReason: 'delegation-revoked',
    });
    expect(await readSession(broker, ada, nonce)).toMatchObject({ state: 'ready' });
    const order = audit.entries.map(({ type }) => type);
    expect(order.indexOf('delegation.revoked')).toBeLessThan(order.indexOf('session.ended'));
    expect(findEnd(audit.entries)).toMatchObject({ endReason: 'delegation-revoked', by: person });
    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });
    expect(verdicts).toEqual([
      { connection: nonce, verdict: 'close', reason: 'session-terminated' },
    ]);
  });

  // The first step has been taken: whatever comes after it must find the mark.
  test('refuses tickets, their use, and extensions from its first step on', async () => {
    const { broker, audit } = startDelegating();
    await give(broker);
    const { ticket } = await openSession(broker, { ...delegated, durationSeconds: 600 });
    await revokeAndDie(broker);

    const message = 'The delegation has been revoked. Ask for another one.';
    await expect(redeem(broker, ticket.ticket)).rejects.toMatchObject({ message });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'ticket.refused', code: 'access-denied' });
    await expect(createTicket(broker, bot, sessionId, { form: 'jwt' })).rejects.toMatchObject({
      message,
    });
    await expect(
      extendSession(broker, bot, sessionId, { durationSeconds: 900 }),
    ).rejects.toMatchObject({ message });
    expect(await readSession(broker, bot, sessionId)).toMatchObject({ state: 'ready' });
  });

  test('leaves no session that came into being meanwhile', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);
    await revokeAndDie(broker);

    expect(await reevaluate(broker)).toBe(1);

    expect(await readSession(broker, bot, sessionId)).toMatchObject({
      endReason: 'delegation-revoked',
    });
  });

  test('comes to its end in another process when one dies in the middle', async () => {
    const { broker, clock, audit } = startDelegating();
    await give(broker);
    await openSession(broker, delegated);
    await revokeAndDie(broker);
    clock.pass(61);

    await reconcile(broker);
    await reconcile(broker);

    expect(findEnd(audit.entries)).toMatchObject({ endReason: 'delegation-revoked', by: person });
    expect(audit.entries.filter(({ type }) => type === 'delegation.revoked')).toHaveLength(1);
    expect(audit.entries.filter(({ type }) => type === 'session.ended')).toHaveLength(1);
  });
});
