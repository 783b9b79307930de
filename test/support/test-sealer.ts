import type { AuditChain } from '../../lib/audit-chain.ts';
import { openAudit } from '../../lib/audit-chain.ts';
import type { AuditFault } from '../../lib/audit-verify-fault.ts';
import type { CheckpointCopies } from '../../lib/checkpoint-copies.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { Sealer, SealerParts } from '../../lib/seal-audit.ts';
import { openSealer } from '../../lib/seal-audit.ts';
import type { Checked } from './check-sealed.ts';
import { checkSealed } from './check-sealed.ts';
import type { FindTableFault, MemoryTable } from './memory-table.ts';
import { memoryTable } from './memory-table.ts';
import { testClock, testKeys, testRoot } from './test-broker.ts';

let ids = 0;

export const issuer = 'https://broker.test';

// A pair for each of some hundred benches would take longer than all that is tested.
const root = testRoot();
/** The keys of all writers of all benches. */
export const benchKeys = testKeys(testClock().now, issuer, root, 400);
const trust = { roots: toTrustedRoots([root.publicJwk]), issuer };

/** Copies of checkpoints in memory, which fail as told. */
export type MemoryCopies = CheckpointCopies & { readonly texts: Map<number, string> };

/** Returns copies in memory. */
export function memoryCopies(fail: () => void = () => undefined): MemoryCopies {
  const texts = new Map<number, string>();
  return {
    texts,
    add: async (n, text) => {
      fail();
      if (texts.has(n)) return 'exists';
      texts.set(n, text);
      return 'added';
    },
    find: async (n) => {
      fail();
      return texts.get(n);
    },
  };
}

/** An audit log in memory with its index, and sealers and writers of it. */
export type SealBench = {
  readonly audit: MemoryTable;
  readonly index: MemoryTable;
  readonly copies: MemoryCopies;
  readonly clock: ReturnType<typeof testClock>;
  readonly logged: { readonly event: string; readonly facts?: object }[];
  readonly parts: SealerParts;
  /** Opens the log as another process would. */
  readonly openWriter: () => AuditChain;
  readonly openSealer: (changes?: Partial<SealerParts>) => Sealer;
  /** Fails unless all chains and checkpoints are whole, and returns how much is sealed of how much. */
  readonly check: () => Promise<Checked>;
  readonly findFaults: () => readonly AuditFault[];
};

/** Starts a bench; the faults are those of the audit table and of the index. */
export function startSealBench(
  findAuditFault: FindTableFault = () => undefined,
  findIndexFault: FindTableFault = findAuditFault,
): SealBench {
  const clock = testClock();
  const audit = memoryTable(findAuditFault);
  const index = memoryTable(findIndexFault);
  const copies = memoryCopies();
  const logged: { readonly event: string; readonly facts?: object }[] = [];
  const parts: SealerParts = {
    audit,
    index,
    root,
    trust,
    copies,
    now: clock.now,
    log: (event, facts = {}) => void logged.push({ event, facts }),
  };
  return {
    audit,
    index,
    copies,
    clock,
    logged,
    parts,
    openWriter: () =>
      openAudit({
        table: audit,
        keys: benchKeys,
        writer: `writer-${++ids}`,
        version: '1.0',
        policyDigest: () => 'digest-1',
        now: clock.now,
        newId: () => `id-${++ids}`,
        log: () => undefined,
      }),
    openSealer: (changes = {}) => openSealer({ ...parts, ...changes }),
    check: async () => checkSealed(audit.rows(), root.publicJwk),
    findFaults: () =>
      logged.flatMap(({ event, facts }) => {
        if (event !== 'audit.broken') return [];
        const fault: unknown = facts;
        return isAuditFault(fault) ? [fault] : [];
      }),
  };
}

function isAuditFault(value: unknown): value is AuditFault {
  return typeof value === 'object' && value !== null && 'code' in value && 'detail' in value;
}
