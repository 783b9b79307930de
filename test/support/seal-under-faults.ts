import type { AuditChain } from '../../lib/audit-chain.ts';
import { openAudit } from '../../lib/audit-chain.ts';
import type { AuditEvent, Receipt } from '../../lib/audit.ts';
import { openTable } from '../../lib/azure/table.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { Sealer } from '../../lib/seal-audit.ts';
import { openSealer } from '../../lib/seal-audit.ts';
import type { StoredRow, Table } from '../../lib/table.ts';
import type { Checked } from './check-sealed.ts';
import { checkSealed } from './check-sealed.ts';
import { drawFaults } from './drawn-faults.ts';
import { startFaultProxy } from './fault-proxy.ts';
import { findIndexGaps } from './index-scan.ts';
import { testKeys } from './test-broker.ts';
import { issuer, memoryCopies } from './test-sealer.ts';

const now = (): Date => new Date();

/** An audit log in a table service. */
export type LogPlace = { readonly url: URL; readonly name: string; readonly root: RootKey };

/** What became of a log: what its writers were promised, and what is there. */
export type Outcome = {
  readonly acknowledged: number;
  readonly missing: number;
  readonly storedTwice: number;
  readonly checked: Checked;
  readonly indexGaps: readonly string[];
  /** What the sealers took for broken. */
  readonly faults: number;
  /** Checkpoints that were made while calls failed. */
  readonly early: number;
};

/** Opens the log as one more process that writes. */
export function openWriter({ url, name, root }: LogPlace): AuditChain {
  return openAudit({
    table: openNamed(url, name),
    keys: testKeys(now, issuer, root),
    writer: crypto.randomUUID(),
    version: '1.0',
    policyDigest: () => 'digest',
    now,
    newId: () => crypto.randomUUID(),
    log: () => undefined,
  });
}

/** Opens the log as one more process that seals it. */
export function openLogSealer({ url, name, root }: LogPlace): Sealer {
  return openSealer({
    audit: openNamed(url, name),
    index: openNamed(url, `${name}ix`),
    root,
    trust: { roots: toTrustedRoots([root.publicJwk]), issuer },
    copies: memoryCopies(),
    now,
    log: () => undefined,
  });
}

/** Returns an event about one of some sessions, which is told from all others by its number. */
export function toEvent(number: number): AuditEvent {
  const session = `s-${number % 7}`;
  const caller = { id: `tenant.${number % 7}`, name: 'somebody' };
  const by = { id: `tenant.n-${number}`, name: 'somebody' };
  if (number % 3 === 0) return { type: 'session.repeated', session: `n-${number}`, caller };
  return { type: 'session.ended', session, endReason: 'terminated', by };
}

/** Has four processes write and two seal while so many of a hundred calls fail, and then one seal what is left. */
export async function sealUnderFaults(
  place: LogPlace,
  percent: number,
  turns: number,
): Promise<Outcome> {
  // A sealer of an empty log first looks whether there is an older one, for as long as all the rest takes.
  await openWriter(place).append([toEvent(0)]);
  await openLogSealer(place).seal();
  const proxy = await startFaultProxy(place.url, drawFaults(percent));
  const troubled = { ...place, url: proxy.url };
  const writers = Array.from({ length: 4 }, () => openWriter(troubled));
  const receipts: Receipt[] = [];
  let number = 0;
  const writing = new AbortController();
  const write = async (user: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) {
      number += 1;
      const written = await writers[user % 4]?.append([toEvent(number)]).catch(() => []);
      receipts.push(...(written ?? []));
    }
  };
  let faults = 0;
  let early = 0;
  const seal = async (): Promise<void> => {
    const sealer = openLogSealer(troubled);
    while (!writing.signal.aborted) {
      const run = await sealer.seal().catch(() => undefined);
      faults += run?.faults ?? 0;
      if (run?.checkpoint !== undefined) early += 1;
    }
  };
  const sealing = [seal(), seal()];
  await Promise.all(Array.from({ length: 20 }, async (_, user) => write(user)));
  await Promise.all(writers.map(async (writer) => writer.close()));
  writing.abort();
  await Promise.all(sealing);
  await proxy.close();
  faults += (await openLogSealer(place).seal()).faults;
  return { ...(await readOutcome(place, receipts)), faults, early };
}

/** Returns what is there of what the writers were promised. */
export async function readOutcome(
  { url, name, root }: LogPlace,
  receipts: readonly Receipt[],
): Promise<Omit<Outcome, 'faults' | 'early'>> {
  const rows = await readLog(openNamed(url, name));
  const index = openNamed(url, `${name}ix`);
  const places = new Map(
    rows.map(({ partition, row, values }) => [`${partition}/${row}`, values['h']]),
  );
  const missing = receipts.filter(
    ({ chain, sequence, hash }) =>
      places.get(`${chain}/${String(sequence).padStart(12, '0')}`) !== hash,
  );
  const bodies = rows.flatMap(({ values }) => {
    const [, by] = /"id":"(tenant\.n-\d+)"|"session":"(n-\d+)"/.exec(String(values['b'])) ?? [];
    return by === undefined ? [] : [by];
  });
  const indexed = await readIndex(index, findIndexGaps(rows, []));
  return {
    acknowledged: receipts.length,
    missing: missing.length,
    storedTwice: bodies.length - new Set(bodies).size,
    checked: await checkSealed(rows, root.publicJwk),
    indexGaps: findIndexGaps(rows, indexed),
  };
}

/** Reads a log of the last day, as far as a sealer needs it. */
async function readLog(table: Table): Promise<readonly StoredRow[]> {
  const days = [now(), new Date(now().getTime() - 3_600_000)].map((time) =>
    time.toISOString().slice(0, 10).replaceAll('-', ''),
  );
  const announced: StoredRow[] = [];
  for (const day of new Set(days)) announced.push(...(await table.list(`chains|${day}`)));
  const chains = await Promise.all(announced.map(async ({ row }) => table.list(row)));
  return [...announced, ...chains.flat(), ...(await table.list('cp'))];
}

// The partitions in which anything should stand.
async function readIndex(table: Table, wanted: readonly string[]): Promise<readonly StoredRow[]> {
  const partitions = new Set(wanted.map((row) => row.split(' ')[0] ?? ''));
  const rows: StoredRow[] = [];
  for (const partition of partitions) rows.push(...(await table.list(partition)));
  return rows;
}

function openNamed(url: URL, name: string): Table {
  return openTable({ url, name, createIfMissing: true });
}
