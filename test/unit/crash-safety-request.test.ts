import { describe, expect, test } from 'vitest';
import { listSessions } from '../../lib/list-sessions.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { requestSession } from '../../lib/request-session.ts';
import { findSession } from '../../lib/session.ts';
import type { CrashBench } from '../support/crash-bench.ts';
import { crashEverywhere, startCrashBench } from '../support/crash-bench.ts';
import { openSession, sessionId, ssh } from '../support/sessions.ts';
import { ada, grace, testBroker } from '../support/test-broker.ts';

const id = sessionId;
const limits = { ...testBroker().limits, sessionsPerCaller: 1 };

async function isStored({ broker }: CrashBench): Promise<boolean> {
  return (await findSession(broker, id)) !== undefined;
}

function countRows({ state }: CrashBench, prefix: string): number {
  return state
    .rows()
    .filter(({ partition, row }) => partition.startsWith(prefix) || row.startsWith(prefix)).length;
}

function countEntries({ entries }: CrashBench, wanted: string): number {
  return entries.filter(({ type }) => type === wanted).length;
}

async function expectSound(bench: CrashBench): Promise<void> {
  const { broker, clock } = bench;
  const wasStored = await isStored(bench);
  // Nothing that can be used may be without the row that ends it.
  if (wasStored) expect(countRows(bench, 'due|')).toBe(1);
  clock.pass(61);
  if (!wasStored) await expect(openSession(broker, { id: broker.newId() })).resolves.toBeDefined();
  clock.pass(3601);
  await reconcile(broker);
  expect(countRows(bench, 'due|')).toBe(0);
  expect(countRows(bench, 'slot|')).toBe(0);
  if (wasStored) expect(await findSession(broker, id)).toMatchObject({ session: expired });
  expect(countEntries(bench, 'session.ended')).toBe(1);
}

const expired = { state: 'expired', endReason: 'unused' };

describe('a request that is cut short at any call', () => {
  test('leaves no session that never ends, and no place of its caller taken', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startCrashBench({ limits });
      const { broker } = bench;

      const calls = await bench.run(crash, async () => requestSession(broker, ada, ssh, { id }));

      await expectSound(bench);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test("shows its caller nothing under the id once it is another one's", async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startCrashBench({ limits });
      const { broker, clock } = bench;
      const calls = await bench.run(crash, async () => requestSession(broker, grace, ssh, { id }));
      if (await isStored(bench)) return calls;
      clock.pass(61);
      await openSession(broker);

      const { value } = await listSessions(broker, grace, {});

      expect(value).toEqual([]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('is in the list of its caller when it is repeated', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startCrashBench();
      const { broker } = bench;
      const calls = await bench.run(crash, async () => requestSession(broker, ada, ssh, { id }));

      await requestSession(broker, ada, ssh, { id });

      const { value } = await listSessions(broker, ada, {});
      expect(value.map((view) => view.id).slice(0, 1)).toEqual([id]);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });

  test('leaves no session without an end when it dies while it is taken back', async () => {
    const crashes = await crashEverywhere(async (crash) => {
      const bench = startCrashBench({ limits });
      let audits = 0;
      const append = async (...events: Parameters<typeof bench.broker.audit.append>) => {
        audits += 1;
        if (audits === 1) throw new Error('the audit log is down');
        return bench.broker.audit.append(...events);
      };
      const broker = { ...bench.broker, audit: { append } };

      const calls = await bench.run(crash, async () => requestSession(broker, ada, ssh, { id }));

      if (await isStored(bench)) expect(countRows(bench, 'due|')).toBe(1);
      return calls;
    });

    expect(crashes).toBeGreaterThan(10);
  });
});
