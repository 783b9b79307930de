import { openAudit } from '../../lib/audit-chain.ts';
import type { AuditChain } from '../../lib/audit-chain.ts';
import { exportAudit } from '../../lib/audit-export.ts';
import type { ExportQuery } from '../../lib/audit-export.ts';
import type { ExportLine } from '../../lib/audit-export-line.ts';
import { formatLine, parseLine } from '../../lib/audit-export-line.ts';
import type { AuditTrust, AuditVerdict } from '../../lib/audit-verify.ts';
import { verifyExport } from '../../lib/audit-verify.ts';
import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import type { ChainHead, SignedCheckpoint } from '../../lib/checkpoint.ts';
import { checkpointShape, signCheckpoint, toCheckpointRow } from '../../lib/checkpoint.ts';
import { openInstanceKeys } from '../../lib/instance-keys.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import { parseJson } from '../../lib/json.ts';
import type { StoredRow } from '../../lib/table.ts';
import { endSession } from './audit-contract.ts';
import { memoryTable } from './memory-table.ts';
import type { MemoryTable } from './memory-table.ts';
import { ada, memoryAudit, testBroker, testClock, testRoot } from './test-broker.ts';

/** One who may export. */
export const auditor: Caller = { ...ada, roles: ['Audit.Read'] };

/** The broker whose log it is. */
export const issuer = 'https://broker.test';

/** An audit table with writers and a sealer, and what is exported from it. */
export type ExportBench = {
  readonly table: MemoryTable;
  readonly root: RootKey;
  readonly trust: AuditTrust;
  readonly clock: ReturnType<typeof testClock>;
  readonly broker: Broker;
  /** Starts a process that writes. */
  readonly openWriter: (name: string) => AuditChain;
  /** Makes a checkpoint of all that is stored, and stores it. */
  readonly seal: (pruned?: readonly ChainHead[]) => Promise<SignedCheckpoint>;
  /** Returns the lines of an export, page after page. */
  readonly read: (query: ExportQuery) => Promise<readonly string[]>;
};

/** Opens an audit table in memory, at noon of a fixed day. */
export function openExportBench(): ExportBench {
  const root = testRoot();
  const roots = toTrustedRoots([root.publicJwk]);
  const clock = testClock();
  const table = memoryTable();
  const openKeys = () =>
    openInstanceKeys({
      root,
      trustedRoots: roots,
      state: memoryTable(),
      issuer,
      now: clock.now,
      log: () => undefined,
    });
  const audit = { ...memoryAudit(), list: table.list };
  const broker = testBroker({ audit, keys: openKeys(), now: clock.now });
  let ids = 0;
  let last: SignedCheckpoint | undefined;
  return {
    table,
    root,
    trust: { roots },
    clock,
    broker,
    openWriter: (name) =>
      openAudit({
        table,
        keys: openKeys(),
        writer: name,
        version: '1.0',
        policyDigest: () => 'digest-1',
        now: clock.now,
        newId: () => `id-${++ids}`,
        log: () => undefined,
      }),
    seal: async (pruned) => {
      last = await sealNext(table, root, { last, time: clock.now(), ...(pruned && { pruned }) });
      await table.insert(toCheckpointRow(last));
      return last;
    },
    read: async (query) => readPages(broker, query),
  };
}

/**
 * Two days with three chains: one that ends (1), one of a process that died (2), and one that goes on from the first and
 * whose tail none of the three checkpoints seals (3).
 */
export async function writeLog(bench: ExportBench): Promise<void> {
  const { clock } = bench;
  // The key of the afternoon is still in force after midnight, so the chain of the day can be ended.
  clock.pass(3600);
  const one = bench.openWriter('writer-1');
  const two = bench.openWriter('writer-2');
  await one.append([endSession('a'), endSession('b')]);
  await two.append([endSession('c')]);
  clock.pass(60);
  await one.append([endSession('d')]);
  await bench.seal();
  clock.pass(60);
  await one.append([endSession('e'), endSession('f')]);
  await two.append([endSession('g'), endSession('h')]);
  clock.pass(60);
  await bench.seal();
  clock.pass(11 * 3600);
  await one.append([endSession('i')]);
  await bench.seal();
  clock.pass(60);
  await one.append([endSession('j'), endSession('k')]);
  await one.append([endSession('l')]);
  clock.pass(60);
}

/** The days of that log. */
export const logDays = { from: '2026-03-02', to: '2026-03-03' } as const;

/** Writes a chain of so many entries of 100,000 characters, and seals each fiftieth. */
export async function writeLongLog(bench: ExportBench, entries: number): Promise<void> {
  const writer = bench.openWriter('writer-1');
  for (let n = 0; n < entries; n += 1) {
    await writer.append([endSession(`${n} ${'x'.repeat(100_000)}`)]);
    if (n % 50 === 0) await bench.seal();
  }
  bench.clock.pass(60);
}

/** Returns the token with which the page after this one is asked for. */
export function readNext(page: string): string {
  const last = parseLines(page.trimEnd().split('\n')).at(-1);
  if (last?.line !== 'next') throw new Error('the page is the last one');
  return last.after;
}

/** Verifies lines as they would stand in a file. */
export async function verifyLines(
  lines: readonly string[],
  trust: AuditTrust,
): Promise<AuditVerdict> {
  return verifyExport(toStream(lines), trust);
}

async function* toStream(lines: readonly string[]): AsyncGenerator<string, void> {
  yield* lines;
}

/** Returns the lines of a text, as what they are. */
export function parseLines(lines: readonly string[]): readonly ExportLine[] {
  return lines.map((text) => {
    const line = parseLine(text);
    if (line === undefined) throw new Error(`no line of an export: ${text.slice(0, 80)}`);
    return line;
  });
}

/** Returns the text of a file with these lines. */
export function toText(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** Returns lines as text, with an end that counts them. */
export function formatLines(lines: readonly ExportLine[]): readonly string[] {
  const count = (kind: ExportLine['line']) => lines.filter(({ line }) => line === kind).length;
  const counts = {
    entries: count('entry'),
    checkpoints: count('checkpoint'),
    chains: count('chain'),
  };
  return lines.map((line) => formatLine(line.line === 'end' ? { line: 'end', ...counts } : line));
}

async function readPages(broker: Broker, query: ExportQuery): Promise<readonly string[]> {
  const lines: string[] = [];
  let after: string | undefined;
  do {
    const page = await exportAudit(broker, auditor, { ...query, ...(after && { after }) });
    const texts = page.trimEnd().split('\n');
    const [last] = parseLines(texts.slice(-1));
    after = last?.line === 'next' ? last.after : undefined;
    lines.push(...(after === undefined ? texts : texts.slice(0, -1)));
  } while (after !== undefined);
  return lines;
}

type Sealing = {
  readonly last: SignedCheckpoint | undefined;
  readonly time: Date;
  readonly pruned?: readonly ChainHead[];
};

async function sealNext(
  table: MemoryTable,
  root: RootKey,
  { last, time, pruned }: Sealing,
): Promise<SignedCheckpoint> {
  const heads = findHeads(table.rows());
  const sealed = last === undefined ? [] : await findSealed(table, last.checkpoint.n);
  const grown = heads.filter(
    ({ chain, seq }) => !sealed.some((known) => known.chain === chain && known.seq === seq),
  );
  return signCheckpoint(root, {
    v: 1,
    n: (last?.checkpoint.n ?? 0) + 1,
    time: time.toISOString(),
    issuer,
    prev: last?.hash ?? null,
    entries: heads.reduce((sum, { seq }) => sum + seq, 0),
    heads: grown,
    ...(pruned === undefined ? {} : { pruned: [...pruned] }),
  });
}

async function findSealed(table: MemoryTable, n: number): Promise<readonly ChainHead[]> {
  const rows = await table.list('cp', { limit: n });
  return rows.flatMap(({ values }) => checkpointShape.parse(parseJson(String(values['b']))).heads);
}

/** Returns where each chain ends. */
export function findHeads(rows: readonly StoredRow[]): readonly ChainHead[] {
  const heads = new Map<string, ChainHead>();
  for (const { partition: chain, row, values } of rows) {
    if (!/^\d{8}-/.test(chain)) continue;
    const closed = String(values['b']).includes('"type":"chain.closed"');
    heads.set(chain, { chain, seq: Number(row), hash: String(values['h']), closed });
  }
  return [...heads.values()];
}
