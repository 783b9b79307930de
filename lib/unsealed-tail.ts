import { toDay } from './audit-entry.ts';
import type { Described, Pointer } from './audit-index.ts';
import {
  describeEntry,
  factRange,
  readFacts,
  readTime,
  toSessionPartition,
} from './audit-index.ts';
import type { CheckpointLog, SealedHead } from './checkpoint-log.ts';
import { inTurns } from './in-turns.ts';
import { toEntryKey, toStoredEntry } from './seal-chain.ts';
import type { StoredRow, Table } from './table.ts';

/** What has been recorded and is not sealed yet, unverified. */
export type Tail = {
  readonly entries: readonly TailEntry[];
  /** Whether that is all. It is not when no sealer has come by for long. */
  readonly isWhole: boolean;
};

/** An entry of the tail, with the partitions of the index in which it belongs by itself and by its session. */
type TailEntry = {
  readonly pointer: Pointer;
  readonly row: StoredRow;
  readonly time: Date;
  readonly partitions: ReadonlySet<string>;
};

/** What a tail is read from: the audit table, the index, and the checkpoints. */
export type TailParts = {
  readonly list: Table['list'];
  readonly index: Pick<Table, 'list'>;
  readonly checkpoints: CheckpointLog;
  readonly now: () => Date;
};

const dayMilliseconds = 86_400_000;
const days = 3;

// A chain that grows has been sealed lately, or not at all so far.
const busyChains = 32;
const newChains = 32;
const entriesPerChain = 200;
const mostSessions = 100;

/**
 * Reads what no checkpoint has sealed, of the chains that may have grown: a bounded part of it when that is much. Whatever
 * is not in it because it was sealed before is in the index by the time that this has resolved.
 */
export async function readTail(parts: TailParts): Promise<Tail> {
  const { list, checkpoints, now } = parts;
  const { heads, firstDay } = await checkpoints.follow();
  const oldest = new Date(now().getTime() - (days - 1) * dayMilliseconds);
  const announced = await inTurns([0, 1, 2], async (day) =>
    list(`chains|${toDay(new Date(now().getTime() - day * dayMilliseconds))}`),
  );
  const chains = chooseChains(
    announced.flat().map(({ row }) => row),
    heads,
  );
  const read = await inTurns(chains, async (chain) => {
    const from = toEntryKey((heads.get(chain)?.sequence ?? 0) + 1);
    return list(chain, { from, limit: entriesPerChain });
  });
  const rows = read.flat();
  const described = rows.flatMap((row) => describe(row));
  const facts = await findFacts(parts, described);
  return {
    entries: described.map(({ row, one }) => ({
      row,
      pointer: one.pointer,
      time: readTime(one.pointer.key),
      partitions: new Set([
        ...one.partitions,
        ...toSessionPartitions(one.pointer),
        ...(facts.get(one.pointer.session ?? '') ?? []),
      ]),
    })),
    isWhole:
      toDay(oldest) <= toDay(firstDay) &&
      read.every((page) => page.length < entriesPerChain) &&
      facts.size < mostSessions,
  };
}

function chooseChains(
  announced: readonly string[],
  heads: ReadonlyMap<string, SealedHead>,
): readonly string[] {
  const sealed = announced
    .filter((chain) => heads.get(chain)?.isClosed === false)
    .toSorted((one, other) => (heads.get(other)?.n ?? 0) - (heads.get(one)?.n ?? 0));
  const unsealed = announced.filter((chain) => !heads.has(chain));
  return [...unsealed.slice(-newChains), ...sealed.slice(0, busyChains)];
}

function toSessionPartitions({ session }: Pointer): readonly string[] {
  return session === undefined ? [] : [toSessionPartition(session)];
}

type DescribedRow = { readonly row: StoredRow; readonly one: Described };

// What cannot be read is for the sealer to name.
function describe(row: StoredRow): readonly DescribedRow[] {
  try {
    return [{ row, one: describeEntry(toStoredEntry(row)) }];
  } catch {
    return [];
  }
}

async function findFacts(
  { index }: TailParts,
  described: readonly DescribedRow[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const sessions = Map.groupBy(described, ({ one }) => one.pointer.session);
  const chosen = [...sessions.keys()].filter((session) => session !== undefined);
  const facts = await inTurns(chosen.slice(0, mostSessions), async (session) => {
    const rows = await index.list(toSessionPartition(session), factRange);
    const told = sessions.get(session)?.flatMap(({ one }) => one.facts) ?? [];
    return [session, new Set([...readFacts(rows).keys(), ...told])] as const;
  });
  return new Map(facts);
}
