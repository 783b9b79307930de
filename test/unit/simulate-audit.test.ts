import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import { readPastDecisions } from '../../lib/simulate-audit.ts';
import { pastInputs, toPastEvents } from '../support/past-decisions.ts';
import { decisionInput } from '../support/policies.ts';
import { openTestAudit } from '../support/test-audit.ts';
import { testPolicy } from '../support/test-broker.ts';

const day = { from: new Date('2026-03-02'), to: new Date('2026-03-03') };

function pastEvents(count: number): readonly AuditEvent[] {
  return toPastEvents(testPolicy(), pastInputs(count));
}

describe('readPastDecisions', () => {
  test('reads each decision once, whatever the size of a page, over days and chains', async () => {
    const { table, audit, clock } = openTestAudit();
    for (let i = 0; i < 3; i += 1) {
      await audit.append(pastEvents(7));
      clock.pass(86_400);
    }
    const range = { from: day.from, to: new Date('2026-03-09') };

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
    const tags = { note: 'ä'.repeat(40_000) };
    await audit.append(toPastEvents(testPolicy(), [decisionInput({ target: { tags } })]));
    const range = { ...day, limit: 100 };

    const { decisions } = await readPastDecisions(table.list, range);

    expect(decisions[0]?.input.target.tags).toEqual(tags);
  });
});
