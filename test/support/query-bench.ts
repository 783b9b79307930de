import type { AuditItem } from '../../lib/audit-view.ts';
import { auditQueryShape } from '../../lib/audit-view.ts';
import { queryAudit } from '../../lib/audit-query.ts';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import { openCheckpointLog } from '../../lib/checkpoint-log.ts';
import { memoryTable } from './memory-table.ts';
import { ada, memoryAudit, testBroker } from './test-broker.ts';
import type { SealBench } from './test-sealer.ts';
import { benchKeys, startSealBench } from './test-sealer.ts';

/** One who may read all of the audit log. */
export const auditor: Caller = {
  ...ada,
  id: ada.id.replace('ada', 'audrey'),
  name: 'audrey',
  roles: ['Audit.Read'],
};

/** An audit log with a broker that answers questions about it, and counts what it reads for that. */
export type QueryBench = SealBench & {
  readonly broker: Broker;
  /** Rows that were read, of the index and of the log, since the last call. */
  readonly countRows: () => number;
  /** Returns all pages of an answer, one after the other. */
  readonly queryAll: (
    query: Readonly<Record<string, unknown>>,
    caller?: Caller,
  ) => Promise<readonly AuditItem[]>;
};

/** Starts a bench. */
export function startQueryBench(changes: Partial<Broker> = {}): QueryBench {
  const bench = startSealBench();
  let rows = 0;
  const count = (table: SealBench['audit']): SealBench['audit']['list'] => {
    return async (...args) => {
      const found = await table.list(...args);
      rows += found.length;
      return found;
    };
  };
  const { now } = bench.clock;
  const list = count(bench.audit);
  const index = { list: count(bench.index) };
  const checkpoints = openCheckpointLog({ list, trust: bench.parts.trust, now });
  const broker = testBroker({
    now,
    keys: benchKeys,
    state: memoryTable(),
    audit: { ...memoryAudit(), list },
    auditIndex: { table: index, checkpoints },
    ...changes,
  });
  return {
    ...bench,
    broker,
    countRows: () => {
      const counted = rows;
      rows = 0;
      return counted;
    },
    queryAll: async (query, caller = auditor) => {
      const items: AuditItem[] = [];
      let after: string | undefined;
      do {
        const asked = auditQueryShape.parse({
          ...query,
          ...(after === undefined ? {} : { after }),
        });
        const page = await queryAudit(broker, caller, asked);
        items.push(...page.value);
        ({ after } = page);
      } while (after !== undefined);
      return items;
    },
  };
}
