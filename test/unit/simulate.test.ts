import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import { readPastDecisions } from '../../lib/simulate-audit.ts';
import { simulateAnswerShape } from '../../lib/simulate-view.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { call } from '../support/call.ts';
import { decisionInput, loadPolicyText, team } from '../support/policies.ts';
import { openTestAudit } from '../support/test-audit.ts';
import { ada, testBroker } from '../support/test-broker.ts';

collectLogLines();

const current = `@id("team") permit (principal in Group::"${team}", action, resource);`;
const closed = `${current} @id("closed") forbid (principal, action, resource) when { context.port == 3389 };`;

const path = '/api/policy/simulate';
const day = { from: '2026-03-02T00:00:00Z', to: '2026-03-03T00:00:00Z' };

function brokerOf(changes: Partial<Broker> = {}): Broker {
  return testBroker({
    policy: loadPolicyText(current),
    identify: async () => ({ ...ada, roles: ['Policy.Read'] }),
    ...changes,
  });
}

function toSet(text: string): object {
  return { policies: [{ name: 'a.cedar', text }] };
}

async function simulate(broker: Broker, body: object) {
  const answer = await call(broker, 'POST', path, { token: 'ada', body });
  expect(answer.status).toBe(200);
  return simulateAnswerShape.parse(answer.body);
}

/** What was decided about so many requests, every tenth of them for port 3389. */
function pastEvents(count: number): readonly AuditEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    type: 'session.allowed' as const,
    session: `session-${index}`,
    policies: ['team'],
    digest: 'old',
    input: decisionInput({ context: { port: index % 10 === 0 ? 3389 : 22 } }),
    terms: {},
  }));
}

// Each call starts two threads.
describe('POST /api/policy/simulate', { timeout: 30_000 }, () => {
  test('200 with each case that flips, in both directions, and who decides so', async () => {
    const outsider = decisionInput({ caller: { groups: [] } });
    const proposed = `@id("all") permit (principal, action, resource) when { context.port != 3389 };`;

    const answer = await simulate(brokerOf(), {
      ...toSet(proposed),
      cases: [
        { name: 'same', input: decisionInput() },
        { name: 'lost', input: decisionInput({ context: { port: 3389 } }) },
        { input: outsider },
      ],
    });

    expect(answer).toMatchObject({
      outcome: 'sound',
      counts: { decided: 3, allowToDeny: 1, denyToAllow: 1 },
      flips: [
        {
          case: 'lost',
          port: 3389,
          from: { outcome: 'allow', policies: ['team'] },
          to: { outcome: 'deny', policies: [] },
        },
        { case: 'case 3', from: { outcome: 'deny' }, to: { outcome: 'allow', policies: ['all'] } },
      ],
    });
  });

  test('200 with what flips of 500 past decisions, page by page', async () => {
    const { audit } = openTestAudit();
    for (let i = 0; i < 10; i += 1) await audit.append(pastEvents(500).slice(i * 50, i * 50 + 50));
    const broker = brokerOf({ audit });

    const all = await simulate(broker, { ...toSet(closed), audit: day });
    const first = await simulate(broker, { ...toSet(closed), audit: { ...day, limit: 300 } });
    const { nextFrom } = (first.outcome === 'sound' ? first.audit : undefined) ?? {};
    const rest = await simulate(broker, { ...toSet(closed), audit: { ...day, nextFrom } });

    expect(all).toMatchObject({
      counts: { decided: 500, allowToDeny: 50, denyToAllow: 0 },
      audit: { entries: 501, progress: 1 },
    });
    expect(all).not.toHaveProperty('audit.nextFrom');
    // The first entry of a chain is about itself.
    expect(first).toMatchObject({ counts: { decided: 299 }, audit: { entries: 300 } });
    expect(rest).toMatchObject({ counts: { decided: 201 }, audit: { entries: 201, progress: 1 } });
    const flipped = [first, rest].flatMap((one) => (one.outcome === 'sound' ? one.flips : []));
    expect(flipped).toEqual(all.outcome === 'sound' ? all.flips : []);
    expect(flipped[0]).toMatchObject({
      case: 'session-0',
      time: '2026-03-02T12:00:00.000Z',
      to: { policies: ['closed'] },
    });
  });

  test('200 with findings, and nothing decided, for a set that has faults', async () => {
    const answer = await simulate(brokerOf(), {
      ...toSet('permit (principal, action, resource);'),
      cases: [{ input: decisionInput() }],
    });

    expect(answer).toMatchObject({ outcome: 'faulty', findings: [{ file: 'a.cedar', line: 1 }] });
  });

  // Cedar would trap on it, and trap on every call after that.
  test('200 with a finding for 200 nested parentheses, and the set in force decides on', async () => {
    const bomb = `@id("a") permit (principal, action, resource) when { ${'('.repeat(200)}true${')'.repeat(200)} };`;
    const broker = brokerOf();

    const answer = await simulate(broker, toSet(bomb));

    expect(answer).toMatchObject({ outcome: 'faulty', findings: [{ file: 'a.cedar' }] });
    expect(JSON.stringify(answer)).toContain('split the policy');
    expect(broker.policy.decide(decisionInput()).outcome).toBe('allow');
  });

  test('403 without Policy.Read, before the body is read', async () => {
    const body = 'not JSON';

    const answer = await call(testBroker(), 'POST', path, { token: 'grace', body });

    expect(answer).toMatchObject({ status: 403, body: { code: 'role-missing' } });
  });

  test.each([
    ['no set', {}, '/policies'],
    [
      'a case of another form',
      { ...toSet(current), cases: [{ input: {} }] },
      '/cases/0/input/caller',
    ],
    [
      'a position that was made up',
      { ...toSet(current), audit: { ...day, nextFrom: 'x' } },
      '/audit/nextFrom',
    ],
    ['two years', { ...toSet(current), audit: { ...day, from: '2024-03-02T00:00:00Z' } }, '/audit'],
  ])('400 for %s', async (_, body, pointer) => {
    const answer = await call(brokerOf(), 'POST', path, { token: 'ada', body });

    expect(answer).toMatchObject({ status: 400 });
    expect(JSON.stringify(answer.body)).toContain(`"pointer":"${pointer}"`);
  });

  test('413 for a body beyond what a set and its cases need', async () => {
    const body = toSet('x'.repeat(5 * 1024 * 1024));

    const answer = await call(brokerOf(), 'POST', path, { token: 'ada', body });

    expect(answer).toMatchObject({ status: 413, body: { code: 'body-too-large' } });
  });

  test('503 where the past cannot be read', async () => {
    const answer = await call(brokerOf(), 'POST', path, {
      token: 'ada',
      body: { ...toSet(current), audit: day },
    });

    expect(answer).toMatchObject({ status: 503, body: { code: 'audit-unavailable' } });
  });
});

describe('readPastDecisions', () => {
  test('reads each decision once, whatever the size of a page, over days and chains', async () => {
    const { table, audit, clock } = openTestAudit();
    for (let i = 0; i < 3; i += 1) {
      await audit.append(pastEvents(7));
      clock.pass(86_400);
    }
    const range = { from: new Date(day.from), to: new Date('2026-03-09') };

    for (const limit of [1, 4, 8, 100]) {
      const sessions: string[] = [];
      const progress: number[] = [];
      let next: string | undefined;
      do {
        const at = next === undefined ? {} : { nextFrom: next };
        const page = await readPastDecisions(table.list, { ...range, limit, ...at });
        sessions.push(...page.decisions.map(({ session, time }) => `${time} ${session}`));
        progress.push(page.progress);
        next = page.nextFrom;
      } while (next !== undefined);
      expect(new Set(sessions).size).toBe(21);
      expect(sessions).toHaveLength(21);
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
      expect(progress.at(-1)).toBe(1);
    }
  });

  test('takes the beginning of the range in and leaves its end out', async () => {
    const { table, audit, clock } = openTestAudit();
    await audit.append(pastEvents(1));
    clock.pass(60);
    await audit.append(pastEvents(1));
    const times = { from: new Date('2026-03-02T12:00:00Z'), to: new Date('2026-03-02T12:01:00Z') };

    const { decisions } = await readPastDecisions(table.list, { ...times, limit: 100 });

    expect(decisions).toMatchObject([{ time: '2026-03-02T12:00:00.000Z' }]);
  });

  test('reads a body that stands in several strings', async () => {
    const { table, audit } = openTestAudit();
    const [event] = pastEvents(1);
    if (event?.type !== 'session.allowed') throw new Error('another event');
    const tags = { note: 'ä'.repeat(40_000) };
    await audit.append([{ ...event, input: decisionInput({ target: { tags } }) }]);
    const range = { from: new Date(day.from), to: new Date(day.to), limit: 100 };

    const { decisions } = await readPastDecisions(table.list, range);

    expect(decisions[0]?.input.target.tags).toEqual(tags);
  });
});
