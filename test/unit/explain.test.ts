import { describe, expect, test } from 'vitest';
import { explainAnswerShape } from '../../lib/explain.ts';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { call } from '../support/call.ts';
import { decisionInput, loadPolicyText, team } from '../support/policies.ts';
import { ada, eve, testBroker, testTargets, vm } from '../support/test-broker.ts';

collectLogLines();

const absentId = '99999999-9999-4999-8999-999999999999';

const text = `
  @id("team") @max_duration("2h")
  permit (principal in Group::"${team}", action == Action::"connect.ssh", resource)
  when { resource.hasTag("env") && context.durationSeconds <= 7200 && context.port == 22 };

  @id("prod") @advice("Production asks for a reason.")
  forbid (principal, action, resource)
  when { resource.hasTag("env") && resource.getTag("env") == "prod" } unless { context has reason };

  @id("change")
  forbid (principal, action, resource)
  when { resource.hasTag("env") && resource.getTag("env") == "bank" }
  unless { context has change && context.change like "CHG*" };

  @id("office") @advice("Open Monday to Friday from 8:00 to 17:10, Berlin time.")
  forbid (principal, action, resource)
  when { resource.hasTag("window") && resource.getTag("window") == "office" }
  unless {
    context.clock.hasTag("Europe/Berlin") && context.clock.getTag("Europe/Berlin").weekday <= 5 &&
    context.clock.getTag("Europe/Berlin").minuteOfDay >= 480 &&
    context.clock.getTag("Europe/Berlin").minuteOfDay < 1030
  };

  @id("locked") @advice("Ask the owner.")
  forbid (principal, action, resource)
  when { resource.hasTag("access") && resource.getTag("access") == "locked" };

  @id("tier") forbid (principal, action, resource)
  when { resource.hasTag("tier") && resource.getTag("tier") == "0" }
  unless { context.acrs.contains("c1") };
`;
const policy = loadPolicyText(text);

const member: Caller = { ...ada, groups: [team] };
const reader: Caller = { ...member, name: 'reader', roles: ['Session.Request', 'Policy.Read'] };
const auditor: Caller = { ...ada, name: 'auditor', roles: ['Policy.Read'] };

/** A broker that knows these callers and one target with these tags; it is a Monday at noon (UTC). */
function brokerOf(tags: Readonly<Record<string, string>>, changes: Partial<Broker> = {}): Broker {
  const callers = [{ ...member, name: 'member' }, reader, auditor, ada, eve];
  return testBroker({
    policy,
    targets: testTargets([{ ...vm, tags, services: [{ protocol: 'ssh', port: 22 }] }]),
    identify: async (token) => callers.find(({ name }) => name === token) ?? eve,
    ...changes,
  });
}

const path = '/api/policy/explain';
const ssh = { target: vm.id, protocol: 'ssh' };

async function explain(broker: Broker, token: string, body: object = {}) {
  const answer = await call(broker, 'POST', path, { token, body: { ...ssh, ...body } });
  return explainAnswerShape.parse(answer.body);
}

function kindsOf({ nearest }: { readonly nearest: readonly { readonly kind: string }[] }) {
  return nearest.map(({ kind }) => kind);
}

describe('POST /api/policy/explain', () => {
  test('200 with terms and facts, and without rules, to those who may not read policy', async () => {
    const { facts, ...answer } = await explain(brokerOf({ env: 'dev' }), 'member');

    expect(answer).toEqual({
      outcome: 'allow',
      terms: { maxDurationSeconds: 7200 },
      digest: policy.digest,
      policies: [],
      advice: [],
      nearest: [],
    });
    expect(facts).toMatchObject({ action: 'connect.ssh', context: { port: 22 } });
    expect(facts).not.toHaveProperty('target');
  });

  test('200 with rules, target, and what the allow hangs on to those who may', async () => {
    expect(await explain(brokerOf({ env: 'dev' }), 'reader')).toMatchObject({
      outcome: 'allow',
      policies: [{ id: 'team', effect: 'permit' }],
      hangsOn: ['team'],
      facts: { target: { tags: { env: 'dev' } } },
    });
  });

  test('an allow of two permits hangs on neither', async () => {
    const twice = loadPolicyText(
      '@id("a") permit (principal, action, resource); @id("b") permit (principal, action, resource);',
    );

    expect(await explain(brokerOf({}, { policy: twice }), 'reader')).toMatchObject({
      policies: [{ id: 'a' }, { id: 'b' }],
      hangsOn: [],
    });
  });

  test('400 for a body without a protocol, and for tcp without a port', async () => {
    const broker = brokerOf({});

    const bare = await call(broker, 'POST', path, { token: 'ada', body: { target: vm.id } });
    const tcp = { target: vm.id, protocol: 'tcp' };
    const portless = await call(broker, 'POST', path, { token: 'ada', body: tcp });

    expect(bare).toMatchObject({ status: 400, body: { faults: [{ pointer: '/protocol' }] } });
    expect(portless).toMatchObject({ status: 400, body: { faults: [{ pointer: '/port' }] } });
  });

  test('403 for another caller without Policy.Read, and for oneself without Session.Request', async () => {
    const broker = brokerOf({ env: 'dev' });
    const { caller } = decisionInput();

    const other = await call(broker, 'POST', path, { token: 'member', body: { ...ssh, caller } });
    const own = await call(broker, 'POST', path, { token: 'auditor', body: ssh });

    expect(other).toMatchObject({ status: 403, body: { code: 'role-missing' } });
    expect(own).toMatchObject({ status: 403, body: { code: 'role-missing' } });
  });

  test('403 when the token does not list all groups', async () => {
    const broker = brokerOf({}, { identify: async () => ({ ...ada, groups: 'unknown' }) });

    const answer = await call(broker, 'POST', path, { token: 'ada', body: ssh });

    expect(answer).toMatchObject({ status: 403, body: { code: 'groups-unknown' } });
  });

  test('decides about the facts of another caller, not about the one who asks', async () => {
    const { caller } = decisionInput();
    const broker = brokerOf({ env: 'dev' });

    expect(await explain(broker, 'auditor', { caller })).toMatchObject({
      outcome: 'allow',
      facts: { caller: { id: caller.id } },
    });
    expect(await explain(broker, 'reader', { caller: { ...caller, groups: [] } })).toMatchObject({
      outcome: 'deny',
    });
  });
});

describe('a target that is hidden', () => {
  // Threats 12 and 13: neither the answer nor what it holds may tell that there is something.
  test('is answered as an absent one, byte for byte', async () => {
    const broker = brokerOf({ env: 'prod', access: 'locked', secret: 'x' });

    const hidden = await call(broker, 'POST', path, { token: 'eve', body: ssh });
    const gone = { ...ssh, target: absentId };
    const absent = await call(broker, 'POST', path, { token: 'eve', body: gone });

    expect(hidden).toMatchObject({
      status: 200,
      body: { outcome: 'deny', advice: [], nearest: [] },
    });
    expect(JSON.stringify(hidden.body)).toBe(JSON.stringify(absent.body));
    expect([...hidden.headers.keys()]).toEqual([...absent.headers.keys()]);
  });

  test('is denied as well where policy allows everything', async () => {
    const all = loadPolicyText('@id("all") permit (principal, action, resource);');
    const broker = brokerOf({}, { policy: all });

    expect(await explain(broker, 'reader', { target: absentId })).toMatchObject({
      outcome: 'deny',
      policies: [],
    });
  });

  test('costs as many decisions as an absent one', async () => {
    let asked = 0;
    const engine = createPolicyEngine();
    const counted = loadPolicyText(text, {
      with: {
        ...engine,
        authorize: (...question) => {
          asked += 1;
          return engine.authorize(...question);
        },
      },
    });
    const broker = brokerOf({ env: 'dev', window: 'office' }, { policy: counted });

    await explain(broker, 'eve');
    const hidden = asked;
    await explain(broker, 'eve', { target: absentId });

    expect(hidden).toBeGreaterThan(10);
    expect(asked - hidden).toBe(hidden);
  });
});

describe('the nearest change', () => {
  test('is a reason, where one is missing', async () => {
    const answer = await explain(brokerOf({ env: 'prod' }), 'member');

    expect(answer).toMatchObject({ outcome: 'deny', advice: ['Production asks for a reason.'] });
    expect(kindsOf(answer)).toEqual(['reason']);
    expect(await explain(brokerOf({ env: 'prod' }), 'member', { reason: 'x' })).toMatchObject({
      outcome: 'allow',
    });
  });

  test('is a change reference of the form that is asked for, which is not told', async () => {
    const answer = await explain(brokerOf({ env: 'bank' }), 'member', { change: 'x' });

    expect(kindsOf(answer)).toEqual(['change']);
    expect(JSON.stringify(answer)).not.toContain('CHG');
  });

  test('is the next morning, when it is too late', async () => {
    const late = { now: () => new Date('2026-03-06T18:05:00Z') };
    const answer = await explain(brokerOf({ env: 'dev', window: 'office' }, late), 'member');

    // A Friday evening: Monday, 8:00 in Berlin.
    expect(answer.nearest).toMatchObject([{ kind: 'time', at: '2026-03-09T07:00:00.000Z' }]);
  });

  test('is another port, where the target offers one', async () => {
    const answer = await explain(brokerOf({ env: 'dev' }), 'member', { port: 2222 });

    expect(answer.nearest).toMatchObject([{ kind: 'service', protocol: 'ssh', port: 22 }]);
  });

  test('is the longest shorter duration', async () => {
    const answer = await explain(brokerOf({ env: 'dev' }), 'member', { durationSeconds: 10_000 });

    expect(answer.nearest).toMatchObject([{ kind: 'duration', durationSeconds: 7200 }]);
  });

  test('is an authentication context', async () => {
    const answer = await explain(brokerOf({ env: 'dev', tier: '0' }), 'member');

    expect(answer.nearest).toMatchObject([{ kind: 'acr', acr: 'c1' }]);
  });

  test('is a tag or a group, for those alone who may read policy', async () => {
    const locked = brokerOf({ env: 'dev', access: 'locked' });
    const { caller } = decisionInput({ caller: { groups: [] } });

    const read = await explain(locked, 'reader');
    expect(read.policies).toEqual([{ id: 'locked', effect: 'forbid' }]);
    expect(read.nearest).toMatchObject([{ kind: 'tag', tag: 'access' }]);
    expect(read.nearest[0]).not.toHaveProperty('value');
    expect((await explain(locked, 'member')).nearest).toEqual([]);
    const outside = await explain(brokerOf({ env: 'dev' }), 'reader', { caller });
    expect(outside.nearest).toMatchObject([{ kind: 'group', group: team }]);
    expect(JSON.stringify(await explain(brokerOf({ env: 'dev' }), 'ada'))).not.toContain(team);
  });

  test('is a value of a tag that policies name', async () => {
    const answer = await explain(brokerOf({}), 'reader');

    // A value of "prod" would need a reason, and one of "bank" a change reference.
    expect(kindsOf(answer)).toEqual([]);
    const given = await explain(brokerOf({}), 'reader', { reason: 'x' });
    expect(given.nearest).toMatchObject([{ kind: 'tag', tag: 'env', value: 'prod' }]);
  });
});

describe('the end of an allow', () => {
  test('is the minute in which a window closes', async () => {
    const answer = await explain(brokerOf({ env: 'dev', window: 'office' }), 'member');

    // 17:10 in Berlin, between two steps of the search.
    expect(answer).toMatchObject({ outcome: 'allow', endsAt: '2026-03-02T16:10:00.000Z' });
  });

  test('is a date, seen by a policy that calculates', async () => {
    const dated = loadPolicyText(`@id("a") permit (principal, action, resource)
      when { context.now.toDate() < datetime("2026-03-04") };`);

    expect(await explain(brokerOf({}, { policy: dated }), 'member')).toMatchObject({
      endsAt: '2026-03-04T00:00:00.000Z',
    });
  });
});
