import { describe, expect, test } from 'vitest';
import { listApprovals } from '../../lib/list-approvals.ts';
import { readSession } from '../../lib/list-sessions.ts';
import { revokeDelegation } from '../../lib/revoke-delegation.ts';
import { readOperation } from '../../lib/read-operation.ts';
import { approver, approvers, askFor, decide } from '../support/approvals.ts';
import {
  bot,
  delegated,
  delegationId,
  give,
  revokeAndDie,
  startDelegating,
} from '../support/delegations.ts';
import { sessionId } from '../support/sessions.ts';
import { ada } from '../support/test-broker.ts';

const linus = approver('linus');

// People need an approval for what workloads do in their name, and workloads need none of their own.
const policies = `
  @id("bots") permit (principal is ServicePrincipal, action, resource);
  @id("people") @require_approval("${approvers}") permit (principal is User, action, resource);`;

function start() {
  const kinship = { samePerson: [], appOwners: { ci: [] } };
  return startDelegating({ policies, kinship });
}

describe('a request in the name of a person that waits for an approval', () => {
  test('tells approvers of both, and is granted with the approval that the person needs', async () => {
    const { broker, audit } = start();
    await give(broker);
    const view = await askFor(broker, delegated);

    expect(await listApprovals(broker, linus)).toMatchObject([
      { caller: { id: bot.id }, onBehalfOf: { id: ada.id } },
    ]);
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'session.pending',
      onBehalfOf: { id: ada.id, name: 'ada' },
    });
    expect(await decide(broker, linus, view)).toMatchObject({ state: 'ready' });
  });

  test('is another request in the name of another', async () => {
    const digests = [];
    for (const giver of [ada, linus]) {
      const { broker } = start();
      await give(broker, { giver });
      digests.push((await askFor(broker, delegated)).approval?.etag);
    }

    expect(digests[0]).not.toBe(digests[1]);
  });

  test('is over when the delegation is revoked', async () => {
    const { broker } = start();
    await give(broker);
    const view = await askFor(broker, delegated);

    await revokeDelegation(broker, bot, delegationId);

    const reference = { session: sessionId, isExtension: false };
    expect(await readOperation(broker, ada, reference)).toMatchObject({
      status: 'Failed',
      error: { code: 'delegation-revoked' },
    });
    await expect(decide(broker, linus, view)).rejects.toMatchObject({ code: 'approval-closed' });
  });

  test('does not become ready once the delegation is marked, whoever approves', async () => {
    const { broker } = start();
    await give(broker);
    const view = await askFor(broker, delegated);
    await revokeAndDie(broker);

    await decide(broker, linus, view);

    expect(await readSession(broker, bot, sessionId)).toMatchObject({
      state: 'failed',
      endReason: 'delegation-revoked',
    });
  });

  test('is not granted after the delegation has ended, and for no longer than it lasts', async () => {
    const late = start();
    await give(late.broker);
    const view = await askFor(late.broker, delegated);
    late.clock.pass(3600);
    await decide(late.broker, linus, view);
    const soon = start();
    await give(soon.broker);
    const other = await askFor(soon.broker, delegated);
    soon.clock.pass(1800);

    expect(await readSession(late.broker, bot, sessionId)).toMatchObject({
      state: 'failed',
      endReason: 'policy',
    });
    expect(await decide(soon.broker, linus, other)).toMatchObject({
      state: 'ready',
      deadline: '2026-03-02T13:00:00.000Z',
    });
  });
});
