import type { AuditChain } from '../../lib/audit-chain.ts';
import { openAudit } from '../../lib/audit-chain.ts';
import type { Feed } from '../../lib/audit-feed.ts';
import { feedShape } from '../../lib/audit-feed.ts';
import type { AuditEvent, Receipt } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import { openInstanceKeys } from '../../lib/instance-keys.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import { call } from './call.ts';
import type { FindTableFault, MemoryTable } from './memory-table.ts';
import { memoryTable } from './memory-table.ts';
import { ada, testBroker, testClock, testRoot } from './test-broker.ts';

/** A process that writes the audit log, perhaps with a clock of its own. */
export type FeedWriter = {
  /** Records so many events, and returns where they stand; nothing when the log did not take them. */
  readonly append: (count: number) => Promise<readonly Receipt[]>;
  readonly close: AuditChain['close'];
};

/** An audit log with several writers, and one who reads its feed. */
export type FeedBench = {
  readonly broker: Broker;
  readonly clock: ReturnType<typeof testClock>;
  readonly audit: MemoryTable;
  /** The partitions that were listed. */
  readonly listed: string[];
  readonly startWriter: (skewSeconds?: number) => FeedWriter;
  /** Asks for the feed as the auditor `ada`. */
  readonly poll: (query?: Readonly<Record<string, string>>) => Promise<Feed>;
};

const lifted: AuditEvent = {
  type: 'lock.lifted',
  lock: '10c00000-0000-4000-8000-000000000001',
  by: { id: 'a', name: 'ada' },
};

/** Starts a bench on which nothing has been recorded. */
export function startFeedBench(findFault: FindTableFault = () => undefined): FeedBench {
  const clock = testClock();
  const root = testRoot();
  const audit = memoryTable(findFault);
  const state = memoryTable();
  const trustedRoots = toTrustedRoots([root.publicJwk]);
  const issuer = 'https://broker.test';
  const log = (): void => undefined;
  const toKeys = (now: () => Date) =>
    openInstanceKeys({ root, trustedRoots, state, issuer, now, log });
  const listed: string[] = [];
  const list: MemoryTable['list'] = async (partition, range) => {
    listed.push(partition);
    return audit.list(partition, range);
  };
  let ids = 0;
  const newId = () => `id-${++ids}`;
  const broker = testBroker({
    now: clock.now,
    keys: toKeys(clock.now),
    audit: { append: async () => [], list },
    identify: async (name) => ({ ...ada, id: name, roles: name === 'eve' ? [] : ['Audit.Read'] }),
  });
  return {
    broker,
    clock,
    audit,
    listed,
    startWriter: (skewSeconds = 0) => {
      const now = () => new Date(clock.now().getTime() + skewSeconds * 1000);
      const chain = openAudit({
        table: audit,
        keys: toKeys(now),
        writer: newId(),
        version: '1.0',
        policyDigest: () => 'digest-1',
        now,
        newId,
        log,
      });
      return {
        close: chain.close,
        append: async (count) => {
          const events = Array.from({ length: count }, () => lifted);
          return chain.append(events).catch(() => []);
        },
      };
    },
    poll: async (query = {}) => {
      const { status, body } = await call(broker, 'GET', '/api/audit/feed', {
        token: 'ada',
        query,
      });
      if (status !== 200) throw new Error(`the feed answered ${String(status)}`);
      return feedShape.parse(body);
    },
  };
}

/** Reads the feed from a cursor, or from a first day, until nothing more is there now. */
export async function drain(
  bench: Pick<FeedBench, 'poll'>,
  from: Readonly<Record<string, string>> = {},
): Promise<{ readonly entries: Feed['value']; readonly cursor: string }> {
  const entries: Feed['value'] = [];
  let query = from;
  for (;;) {
    const { value, cursor, more } = await bench.poll(query);
    entries.push(...value);
    query = { cursor };
    if (!more) return { entries, cursor };
  }
}

/** Returns the place of an entry as text. */
export function toPlaceText({ chain, seq }: Feed['value'][number]): string {
  return `${chain}:${String(seq)}`;
}
