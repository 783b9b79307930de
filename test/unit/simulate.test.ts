import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import { toDigest } from '../../lib/policy-digest.ts';
import type { Trials } from '../../lib/simulate-isolation.ts';
import { simulatePolicies } from '../../lib/simulate.ts';
import { simulateRequestShape } from '../../lib/simulate-view.ts';
import { pastInputs, toPastEvents } from '../support/past-decisions.ts';
import { decisionInput, loadPolicyText, team, testTrials } from '../support/policies.ts';
import { openTestAudit } from '../support/test-audit.ts';
import { ada, memoryAudit, testBroker, testPolicy } from '../support/test-broker.ts';

const current = `@id("team") permit (principal in Group::"${team}", action, resource);`;
const closed = `${current} @id("closed") forbid (principal, action, resource) when { context.port == 3389 };`;

const policy = loadPolicyText(current);

const day = { from: '2026-03-02T00:00:00Z', to: '2026-03-03T00:00:00Z' };

const auditor: Caller = { ...ada, roles: ['Policy.Read'] };

function brokerOf(changes: Partial<Broker> = {}): Broker {
  return testBroker({
    policy,
    ...changes,
  });
}

function toSet(text: string): object {
  return { policies: [{ name: 'a.cedar', text }] };
}

async function simulate(broker: Broker, body: object, trials = testTrials()) {
  return simulatePolicies(broker, auditor, simulateRequestShape.parse(body), trials);
}

function pastEvents(count: number): readonly AuditEvent[] {
  return toPastEvents(testPolicy(), pastInputs(count));
}

function repeat<T>(count: number, value: T): readonly T[] {
  return Array.from({ length: count }, () => value);
}

describe('simulatePolicies', () => {
  test('tells each case that flips, in every direction, and who decides so', async () => {
    const policy = loadPolicyText(`
      @id("ssh") permit (principal, action, resource) when { context.port == 22 };
      @id("rdp") @require_reason("*") permit (principal, action, resource)
      when { context.port == 3389 };`);
    const proposed = `
      @id("allow") permit (principal, action, resource) when { context has change };
      @id("needs") @require_approval("ops") permit (principal, action, resource)
      when { context has reason };`;
    const [allowed, unmet, denied] = [{ port: 22 }, { port: 3389 }, { port: 80 }];
    const contexts = [
      allowed,
      ...repeat(2, { ...allowed, reason: 'x' }),
      ...repeat(3, unmet),
      ...repeat(4, { ...unmet, change: 'x' }),
      ...repeat(5, { ...denied, reason: 'x' }),
      ...repeat(6, { ...denied, change: 'x' }),
      { ...allowed, change: 'x' },
      denied,
    ];
    const cases = contexts.map((context) => ({ input: decisionInput({ context }) }));

    const answer = await simulate(brokerOf({ policy }), { ...toSet(proposed), cases });

    expect(answer).toMatchObject({
      outcome: 'sound',
      counts: {
        decided: 23,
        allowToDeny: 1,
        allowToNeeds: 2,
        needsToDeny: 3,
        needsToAllow: 4,
        denyToNeeds: 5,
        denyToAllow: 6,
      },
    });
    expect(answer.outcome === 'sound' ? answer.flips.slice(0, 2) : []).toMatchObject([
      {
        case: 'case 1',
        port: 22,
        from: { outcome: 'allow', policies: ['ssh'] },
        to: { outcome: 'deny', policies: [] },
      },
      { case: 'case 2', to: { outcome: 'needs', policies: ['needs'] } },
    ]);
  });

  test('tells what flips of 100 past decisions, page by page', async () => {
    const { audit, table } = openTestAudit();
    for (let i = 0; i < 100; i += 10) await audit.append(pastEvents(100).slice(i, i + 10));
    const broker = brokerOf({
      policy: testPolicy(),
      audit: { ...memoryAudit(), list: table.list },
    });
    const trials: Trials = {
      check: async () => [],
      decide: async ({ inputs }) =>
        inputs.map(({ context: { port } }) =>
          port === 3389
            ? { outcome: 'deny', policies: ['closed'] }
            : { outcome: 'allow', policies: [] },
        ),
    };
    const ask = async (more: object) =>
      simulate(broker, { ...toSet(closed), audit: { ...day, ...more } }, trials);

    const all = await ask({});
    const first = await ask({ limit: 60 });
    const { nextFrom } = (first.outcome === 'sound' ? first.audit : undefined) ?? {};
    const rest = await ask({ nextFrom });

    expect(all).toMatchObject({
      counts: { decided: 100, allowToDeny: 10, denyToAllow: 0 },
      audit: { entries: 101, progress: 1 },
    });
    expect(all).not.toHaveProperty('audit.nextFrom');
    // The first entry of a chain is about itself.
    expect(first).toMatchObject({ counts: { decided: 59 }, audit: { entries: 60 } });
    expect(rest).toMatchObject({ counts: { decided: 41 }, audit: { entries: 41, progress: 1 } });
    const flipped = [first, rest].flatMap((one) => (one.outcome === 'sound' ? one.flips : []));
    expect(flipped).toEqual(all.outcome === 'sound' ? all.flips : []);
    expect(flipped[0]).toMatchObject({
      case: 'session-0',
      time: '2026-03-02T12:00:00.000Z',
      to: { policies: ['closed'] },
    });
  });

  test('decides again what needed something, and what was denied', async () => {
    const { audit, table } = openTestAudit();
    const [event] = pastEvents(1);
    if (event?.type !== 'session.allowed') throw new Error('another event');
    const { terms, ...facts } = event;
    await audit.append([
      { ...facts, type: 'session.denied', advice: [] },
      { ...facts, type: 'session.needs', terms, needs: [{ kind: 'reason', pattern: '*' }] },
    ]);
    const broker = brokerOf({ audit: { ...memoryAudit(), list: table.list } });

    const answer = await simulate(broker, { ...toSet(closed), audit: day });

    expect(answer).toMatchObject({ counts: { decided: 2, allowToDeny: 2 } });
  });

  // It shows who asked for which target, and what the set in force says about anybody.
  test('is recorded with both sets and what it told, before it tells', async () => {
    const audit = memoryAudit();
    const cases = [{ input: decisionInput({ context: { port: 3389 } }) }];

    await simulate(brokerOf({ audit }), { ...toSet(closed), cases });

    expect(audit.entries).toEqual([
      {
        type: 'policy.simulated',
        caller: { id: ada.id, name: 'ada' },
        digest: policy.digest,
        proposed: toDigest([{ name: 'a.cedar', text: closed }]),
        decided: 1,
        flipped: 1,
      },
    ]);
    const down = { append: async () => Promise.reject(new Error('the table is down')) };
    await expect(simulate(brokerOf({ audit: down }), { ...toSet(closed), cases })).rejects.toThrow(
      'the table is down',
    );
  });

  test('is recorded with the time that was read', async () => {
    const past = openTestAudit();
    await past.audit.append(pastEvents(1));
    const audit = memoryAudit();

    await simulate(brokerOf({ audit: { ...audit, list: past.table.list } }), {
      ...toSet(closed),
      audit: day,
    });

    expect(audit.entries).toMatchObject([
      { past: { from: '2026-03-02T00:00:00.000Z', to: '2026-03-03T00:00:00.000Z' } },
    ]);
  });

  test('leaves no record where nothing was decided: of a check, and of a set with faults', async () => {
    const audit = memoryAudit();
    const broker = brokerOf({ audit });

    const check = await simulate(broker, toSet(closed));
    const faulty = await simulate(broker, {
      ...toSet('permit (principal, action, resource);'),
      cases: [{ input: decisionInput() }],
    });

    expect(check).toMatchObject({ outcome: 'sound' });
    expect(faulty).toMatchObject({ outcome: 'faulty', findings: [{ file: 'a.cedar', line: 1 }] });
    expect(audit.entries).toEqual([]);
  });

  test('is a finding when the proposed set does not come to an end', async () => {
    const trials = { ...testTrials(), decide: async () => undefined };
    const cases = [{ input: decisionInput() }];

    const answer = await simulate(brokerOf(), { ...toSet(closed), cases }, trials);

    expect(answer).toMatchObject({ outcome: 'faulty', findings: [{ file: 'a.cedar' }] });
  });

  test('fails where the past cannot be read', async () => {
    const answer = simulate(brokerOf(), { ...toSet(current), audit: day });

    await expect(answer).rejects.toMatchObject({ code: 'audit-unavailable' });
  });

  // Each takes two threads and up to 256 MiB.
  test('runs twice at a time in a process, and the third hears when to ask again', async () => {
    const broker = brokerOf();
    const checks: (() => void)[] = [];
    const trials = {
      ...testTrials(),
      check: async () => new Promise<readonly never[]>((resolve) => checks.push(() => resolve([]))),
    };
    const running = [1, 2].map(async () => simulate(broker, toSet(closed), trials));
    await expect.poll(() => checks.length).toBe(2);

    const third = simulate(broker, toSet(closed), trials);

    await expect(third).rejects.toMatchObject({
      code: 'rate-limited',
      details: { retryAfterSeconds: 5 },
    });
    for (const finish of checks) finish();
    await Promise.all(running);
    expect(await simulate(broker, toSet(closed))).toMatchObject({ outcome: 'sound' });
  });

  test('makes room when it fails', async () => {
    const broker = brokerOf();
    const trials = {
      ...testTrials(),
      check: async () => Promise.reject(new Error('no thread')),
    };

    for (let i = 0; i < 3; i += 1)
      await expect(simulate(broker, toSet(closed), trials)).rejects.toThrow('no thread');
  });
});
