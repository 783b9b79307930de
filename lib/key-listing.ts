import type { EndorsedKey } from './endorsement.ts';
import { verifyEndorsement } from './endorsement.ts';
import type { TrustedRoots } from './root-key.ts';
import type { StoredRow, Table } from './table.ts';

/** The partition of the rows that list the keys in force, one by key id. */
export const keyPartition = 'keys';

/** Where keys are listed, and who must have endorsed a key for its row to count. */
export type ListingSettings = {
  readonly state: Table;
  readonly trustedRoots: TrustedRoots;
  readonly issuer: string;
  readonly now: () => Date;
};

/** The list of the keys in force. Both answers may be old: by 30 s for one key, by 10 s for all. */
export type KeyListing = {
  readonly isListed: (kid: string) => Promise<boolean>;
  readonly list: () => Promise<readonly ListedKey[]>;
};

/** A key in force, with the endorsement that says so. */
type ListedKey = EndorsedKey & { readonly endorsement: string };

const findMilliseconds = 30_000;
const listMilliseconds = 10_000;

// Enough for all processes of a busy day; a flood of ids that nobody has cannot fill the memory.
const maxRemembered = 1000;

// How far the clock of the process that made an endorsement may be ahead of ours.
const skewSeconds = 5;

/** Reads the list of keys with as few calls as its freshness allows. */
export function openKeyListing(settings: ListingSettings): KeyListing {
  const { state, now } = settings;
  const found = remember(now, findMilliseconds, async (kid) => {
    const row = await state.find(keyPartition, kid);
    return row !== undefined && readKey(row, settings) !== undefined;
  });
  const listed = remember(now, listMilliseconds, async (partition) => {
    const rows = await state.list(partition);
    return rows.flatMap((row) => readKey(row, settings) ?? []);
  });
  return { isListed: found, list: async () => listed(keyPartition) };
}

/** Removes the rows of keys that have expired, so that the list does not grow for ever. */
export async function removeExpiredKeys({ state, now }: ListingSettings): Promise<void> {
  const seconds = now().getTime() / 1000 - skewSeconds;
  for (const { row, values } of await state.list(keyPartition))
    if (typeof values['expires'] === 'number' && values['expires'] < seconds)
      await state.remove(keyPartition, row);
}

// The endorsement decides, not the row: whoever can only write to storage must not be able to list a key.
function readKey(
  { row, values }: StoredRow,
  { trustedRoots, issuer, now }: ListingSettings,
): ListedKey | undefined {
  const { endorsement } = values;
  if (typeof endorsement !== 'string') return undefined;
  try {
    const key = verifyEndorsement(endorsement, trustedRoots, now(), skewSeconds);
    return key.kid === row && key.issuer === issuer ? { ...key, endorsement } : undefined;
  } catch {
    return undefined;
  }
}

/** Makes a function that reads each key at most once per period, and once at a time. A failure is not remembered. */
function remember<T>(
  now: () => Date,
  milliseconds: number,
  read: (key: string) => Promise<T>,
): (key: string) => Promise<T> {
  const answers = new Map<string, { readonly until: number; readonly value: Promise<T> }>();
  return async (key) => {
    const known = answers.get(key);
    if (known !== undefined && now().getTime() < known.until) return known.value;
    const answer = { until: now().getTime() + milliseconds, value: read(key) };
    // Deleted first, so that the oldest answer is the first in the map.
    answers.delete(key);
    answers.set(key, answer);
    const [oldest] = answers.keys();
    if (answers.size > maxRemembered && oldest !== undefined) answers.delete(oldest);
    try {
      return await answer.value;
    } catch (failure) {
      if (answers.get(key) === answer) answers.delete(key);
      throw failure;
    }
  };
}
