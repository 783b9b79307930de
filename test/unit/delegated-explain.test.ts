import { describe, expect, test } from 'vitest';
import { explainAnswerShape } from '../../lib/explain.ts';
import type { Broker } from '../../lib/broker.ts';
import { call } from '../support/call.ts';
import { bot, delegationId, give, startDelegating } from '../support/delegations.ts';
import { team } from '../support/policies.ts';
import { ada, vm } from '../support/test-broker.ts';

const policies = `
  @id("bots") permit (principal is ServicePrincipal, action, resource);
  @id("team") permit (principal in Group::"${team}", action, resource);`;

const reader = { ...ada, name: 'reader', roles: ['Policy.Read', 'Session.Request'] as const };

function start(): Broker {
  const { broker } = startDelegating({ policies });
  const { identify } = broker;
  return { ...broker, identify: async (token) => (token === 'reader' ? reader : identify(token)) };
}

async function explain(broker: Broker, token: string, body: object) {
  const wish = { target: vm.id, protocol: 'ssh', ...body };
  const answer = await call(broker, 'POST', '/api/policy/explain', { token, body: wish });
  return answer.status === 200 ? explainAnswerShape.parse(answer.body) : answer;
}

const facts = { issuer: ada.issuer, acrs: [] };
const asBot = { ...facts, id: bot.id, kind: 'workload', app: 'ci', groups: [] };
const forAda = { ...facts, id: ada.id, kind: 'person', app: 'portal', groups: [] };

describe('explain, in the name of a person', () => {
  test('says what the workload gets by its delegation, and nothing of the person', async () => {
    const broker = start();
    await give(broker, { giver: { ...ada, groups: [team] }, limits: { maxBytes: 9 } });

    const answer = await explain(broker, 'bot', { delegation: delegationId });

    expect(answer).toMatchObject({
      outcome: 'allow',
      terms: { maxBytes: 9 },
      endsAt: '2026-03-02T13:00:00.000Z',
    });
    expect(JSON.stringify(answer)).not.toContain(team);
    expect(JSON.stringify(answer)).not.toContain(ada.id);
  });

  test('refuses a delegation as a request does', async () => {
    const broker = start();
    await give(broker);

    expect(await explain(broker, 'robot', { delegation: delegationId })).toMatchObject({
      status: 403,
    });
    await give(broker, { id: bot.id.slice(0, 36), targets: [delegationId] });
    expect(await explain(broker, 'bot', { delegation: bot.id.slice(0, 36) })).toMatchObject({
      outcome: 'deny',
      policies: [],
      nearest: [],
    });
  });

  test('shows a reader the policies of both sides, and what the person lacks', async () => {
    const broker = start();
    const asked = { caller: asBot, onBehalfOf: forAda };

    expect(await explain(broker, 'reader', asked)).toMatchObject({
      outcome: 'deny',
      nearest: [
        {
          kind: 'group',
          group: team,
          detail: `Make the person for whom the caller acts a member of the group ${team}.`,
        },
      ],
    });
    const member = { ...forAda, groups: [team] };
    expect(await explain(broker, 'reader', { caller: asBot, onBehalfOf: member })).toMatchObject({
      outcome: 'allow',
      policies: [
        { id: 'bots', effect: 'permit' },
        { id: 'onBehalfOf:team', effect: 'permit' },
      ],
      hangsOn: ['bots', 'onBehalfOf:team'],
      facts: { onBehalfOf: { id: ada.id } },
    });
  });

  test('takes facts of a person only with those of a caller, and no delegation with them', async () => {
    const broker = start();

    expect(await explain(broker, 'reader', { onBehalfOf: forAda })).toMatchObject({
      status: 400,
      body: { faults: [{ pointer: '/onBehalfOf' }] },
    });
    expect(
      await explain(broker, 'reader', { caller: asBot, delegation: delegationId }),
    ).toMatchObject({ status: 400, body: { faults: [{ pointer: '/delegation' }] } });
  });
});
