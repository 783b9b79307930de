import type { AuditChain } from '../../lib/audit-chain.ts';
import { openAudit } from '../../lib/audit-chain.ts';
import type { Keys } from '../../lib/broker.ts';
import { openInstanceKeys } from '../../lib/instance-keys.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { StoredRow } from '../../lib/table.ts';
import type { Verified } from './audit-verifier.ts';
import { verifyChains } from './audit-verifier.ts';
import type { FindTableFault, MemoryTable } from './memory-table.ts';
import { memoryTable } from './memory-table.ts';
import { testClock, testRoot } from './test-broker.ts';

/** An audit log over a table in memory, with all that can be changed about it. */
export type AuditSetup = {
  readonly table: MemoryTable;
  readonly audit: AuditChain;
  readonly clock: ReturnType<typeof testClock>;
  readonly logged: string[];
  /** Checks other rows in place of the table's. */
  readonly verify: (rows: readonly StoredRow[]) => Promise<Verified>;
  readonly read: () => Promise<Verified>;
};

/** Opens an audit log whose table fails as told, with keys that may be changed. */
export function openTestAudit(
  findFault: FindTableFault = () => undefined,
  changes: Partial<Keys> = {},
): AuditSetup {
  const root = testRoot();
  const trustedRoots = toTrustedRoots([root.publicJwk]);
  const clock = testClock();
  const { now } = clock;
  const logged: string[] = [];
  const log = (event: string) => void logged.push(event);
  const state = memoryTable();
  const issuer = 'https://broker.test';
  const keys = openInstanceKeys({ root, trustedRoots, state, issuer, now, log });
  const table = memoryTable(findFault);
  let ids = 0;
  const audit = openAudit({
    table,
    keys: { ...keys, ...changes },
    writer: 'writer-1',
    version: '1.0',
    policyDigest: () => 'digest-1',
    now,
    newId: () => `id-${++ids}`,
    log,
  });
  const verify = async (rows: readonly StoredRow[]) => verifyChains(rows, trustedRoots);
  return { table, audit, clock, logged, verify, read: async () => verify(table.rows()) };
}
