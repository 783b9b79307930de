import type { Head } from './audit-entry.ts';
import { joinParts } from './audit-parts.ts';
import type { ChainPlace } from './audit-verify-chain.ts';
import { ChainVerifier } from './audit-verify-chain.ts';
import type { StoredEntry } from './audit-verify-entry.ts';
import { isHashOf } from './audit-verify-entry.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import type { Announcement, ChainTrust } from './audit-verify-key.ts';
import { readChainKey } from './audit-verify-key.ts';
import { isFault } from './checkpoint-check.ts';
import type { SealedHead } from './checkpoint-log.ts';
import { BrokerError } from './failure.ts';
import type { StoredRow, Table } from './table.ts';

/** What a look at a chain needs. */
export type ChainReader = {
  /** Lists rows of the audit table. */
  readonly list: Table['list'];
  readonly trust: ChainTrust;
  /** Gets the entries that were verified, oldest first, before they are sealed. */
  readonly take: (entries: readonly StoredEntry[]) => Promise<void>;
  readonly now: () => Date;
};

/** Which chain, from where on, and how far to go: not much further than so many entries, and not after `until`. */
export type ChainLook = {
  readonly announced: StoredRow;
  readonly sealed: SealedHead | undefined;
  readonly maxEntries: number;
  readonly until: Date;
};

/** How far a chain is whole. */
export type ChainLooked = {
  /** Its last entry that is signed; undefined where nothing is new. */
  readonly head: (ChainPlace & { readonly hash: string }) | undefined;
  readonly isAtEnd: boolean;
  /** What is wrong when entries at the end stay without a signature: of a batch that is being stored, some may show first. */
  readonly doubt: AuditFault | undefined;
  /** What is wrong with the chain before this one, as far as this one tells. */
  readonly before: AuditFault | undefined;
  /** The outage that came after the head; undefined when none did. */
  readonly failure: BrokerError | undefined;
};

const rowsPerPage = 200;
const nothing = {
  head: undefined,
  isAtEnd: true,
  doubt: undefined,
  before: undefined,
  failure: undefined,
};

// A transaction of a table holds a hundred.
const maxBatchEntries = 100;

/**
 * Verifies what a chain has gained since it was sealed, up to the last signature: hashes, links, places, types, times,
 * signatures, and the announcement with its endorsement. Returns the first fault in place of that. Fails with `state-unavailable` when the table does.
 */
export async function lookAtChain(
  reader: ChainReader,
  look: ChainLook,
): Promise<ChainLooked | AuditFault> {
  const { announced, sealed } = look;
  const rows = await readRows(reader, announced.row, sealed?.sequence ?? 1);
  if (isFault(rows)) return rows;
  // It may be announced, and its writer have failed before the first entry.
  if (sealed === undefined && rows.length === 0) return nothing;
  const verifier = openVerifier(reader.trust, look, rows[0]);
  if (isFault(verifier)) return verifier;
  const news = sealed === undefined ? rows : rows.slice(1);
  return readOn(reader, look, verifier, { rows: news, isLast: rows.length < rowsPerPage });
}

function openVerifier(
  trust: ChainTrust,
  { announced, sealed }: ChainLook,
  first: StoredRow | undefined,
): ChainVerifier | AuditFault {
  const announcement = toAnnouncement(announced);
  const key = readChainKey(announcement, trust);
  if (isFault(key)) return key;
  if (sealed === undefined) return new ChainVerifier(announcement, key);
  const fault = findSealedFault(announced.row, sealed, first);
  return fault ?? new ChainVerifier(announcement, key, [], sealed);
}

// The look begins at the last entry that is sealed: whoever cuts or replaces it is found out at once.
function findSealedFault(
  chain: string,
  { sequence, hash, n }: SealedHead,
  row: StoredRow | undefined,
): AuditFault | undefined {
  if (row?.row !== toEntryKey(sequence)) {
    const detail = `Chain ${chain} ends before entry ${sequence}, which checkpoint ${n} sealed.`;
    return { code: 'chain-truncated', chain, sequence, detail };
  }
  const entry = toStoredEntry(row);
  if (entry.hash === hash && isHashOf(entry)) return undefined;
  const detail = `Entry ${sequence} of chain ${chain} is not the one that checkpoint ${n} sealed.`;
  return { code: 'entry-forked', chain, sequence, detail };
}

type Page = { readonly rows: readonly StoredRow[]; readonly isLast: boolean };

async function readOn(
  reader: ChainReader,
  look: ChainLook,
  verifier: ChainVerifier,
  first: Page,
): Promise<ChainLooked | AuditFault> {
  let page = first;
  let count = 0;
  let reached: Reached = { head: undefined, unsigned: [] };
  try {
    for (;;) {
      const taken = takePage(verifier, page, reached);
      if (isFault(taken)) return taken;
      await reader.take(taken.signed);
      count += taken.signed.length;
      reached = taken;
      if (page.isLast || look.maxEntries <= count || look.until <= reader.now()) break;
      const rows = await readRows(reader, look.announced.row, verifier.place.sequence + 1);
      if (isFault(rows)) return rows;
      page = { rows, isLast: rows.length < rowsPerPage };
    }
    return await toLooked(reader, look, verifier, { page, reached });
  } catch (failure) {
    if (!(failure instanceof BrokerError)) throw failure;
    return { ...nothing, head: reached.head, isAtEnd: false, failure };
  }
}

async function toLooked(
  reader: ChainReader,
  { announced }: ChainLook,
  verifier: ChainVerifier,
  { page, reached }: { readonly page: Page; readonly reached: Reached },
): Promise<ChainLooked> {
  const { head, unsigned } = reached;
  return {
    head,
    isAtEnd: page.isLast,
    doubt: unsigned.length === 0 || !page.isLast ? undefined : verifier.end(),
    before: await findOpeningFault(reader, announced.row, verifier.after),
    failure: undefined,
  };
}

type Reached = Pick<ChainLooked, 'head'> & {
  /** Entries after the last signature. */
  readonly unsigned: readonly StoredEntry[];
};

/** What is vouched for now comes with it; entries of the page before may be the first. */
type Taken = Reached & { readonly signed: readonly StoredEntry[] };

function takePage(
  verifier: ChainVerifier,
  { rows }: Page,
  { head, unsigned: before }: Reached,
): Taken | AuditFault {
  const signed: StoredEntry[] = [];
  let unsigned = [...before];
  let last = head;
  for (const row of rows) {
    const entry = toStoredEntry(row);
    const taken = verifier.take(entry);
    if (isFault(taken)) return taken;
    unsigned.push(entry);
    if (entry.signature === undefined && unsigned.length <= maxBatchEntries) continue;
    const fault = verifier.end();
    if (fault !== undefined) return fault;
    signed.push(...unsigned);
    unsigned = [];
    last = { ...verifier.place, hash: entry.hash };
  }
  return { head: last, signed, unsigned };
}

// The chain before must reach as far as its writer says, and no further: otherwise it was cut short, or forged on.
async function findOpeningFault(
  reader: ChainReader,
  chain: string,
  after: Head | null,
): Promise<AuditFault | undefined> {
  if (after === null) return undefined;
  const rows = await readRows(reader, after.chain, after.sequence, 2);
  if (isFault(rows)) return rows;
  const [last, next] = rows;
  const isThere = last?.row === toEntryKey(after.sequence) && last.values['h'] === after.hash;
  if (isThere && next === undefined) return undefined;
  const sequence = isThere ? after.sequence + 1 : after.sequence;
  const detail = `Chain ${chain} goes on from entry ${after.sequence} of chain ${after.chain}, which does not end with it.`;
  return { code: 'chain-unlinked', chain: after.chain, sequence, detail };
}

async function readRows(
  { list }: ChainReader,
  chain: string,
  sequence: number,
  limit = rowsPerPage,
): Promise<readonly StoredRow[] | AuditFault> {
  try {
    return await list(chain, { from: toEntryKey(sequence), limit });
  } catch (failure) {
    // An outage passes. What is stored in a form that cannot be read stays, and must not keep other chains unsealed.
    if (failure instanceof BrokerError) throw failure;
    const detail = `Chain ${chain} holds something from entry ${sequence} on that cannot be read.`;
    return { code: 'entry-altered', chain, sequence, detail };
  }
}

/** Returns an entry as it is stored. Where its key is not one of an entry, its sequence is 0, which no entry has. */
export function toStoredEntry({ partition, row, values }: StoredRow): StoredEntry {
  const { h, s, kid } = values;
  return {
    chain: partition,
    sequence: /^\d{12}$/.test(row) ? Number(row) : 0,
    body: joinParts(values),
    hash: String(h),
    ...(s === undefined ? {} : { signature: String(s) }),
    ...(kid === undefined ? {} : { kid: String(kid) }),
  };
}

/** Returns the row key of an entry. */
export function toEntryKey(sequence: number): string {
  return String(sequence).padStart(12, '0');
}

function toAnnouncement({ row, values }: StoredRow): Announcement {
  const { writer, version, key, endorsement } = values;
  return {
    chain: row,
    writer: String(writer),
    version: String(version),
    key: String(key),
    endorsement: String(endorsement),
  };
}
