import { isComplete, isSilent, listChains, takeFollowing } from './announced-chain.ts';
import { joinParts } from './audit-parts.ts';
import { parseBody } from './audit-verify-entry.ts';
import type { DayPlace, Place } from './feed-place.ts';
import { condensePlaces, resolvePlaces, toDigits } from './feed-place.ts';
import { toEntryKey } from './seal-chain.ts';
import type { StoredRow, Table } from './table.ts';

/** How much may be handed out, and how many more chains a cursor has room for. */
export type Room = { readonly entries: number; readonly bytes: number; readonly chains: number };

/** What was read of a day. */
export type DayRead = {
  /** Those of a chain in its order. */
  readonly rows: readonly StoredRow[];
  readonly bytes: number;
  readonly place: DayPlace;
  /** Whether nothing was left to be read now. */
  readonly isAtEnd: boolean;
  /** Whether nothing will ever come. */
  readonly isFinished: boolean;
};

// Processes that were killed leave chains without an end, and each costs a call. When there are more, they take turns.
const chainsPerRead = 40;

/**
 * Reads what the chains of a day have gained, until the room is filled. In a chain nothing is passed over: a row that
 * does not follow the one before is handed out once nothing can come between them any more.
 */
export async function readDay(
  list: Table['list'],
  place: DayPlace,
  room: Room,
  now: Date,
): Promise<DayRead> {
  const day = {
    isComplete: isComplete(place.day, now),
    isSilent: isSilent(place.day, now),
    places: new Map(resolvePlaces(place, await listChains(list, place.day))),
  };
  const { fresh, chosen } = chooseChains(day, place, room);
  const { rows, bytes, looked } = await readChains(list, day, chosen, room);
  const isOver = [...day.places.values()].every((one) => one === 'over');
  const isDone = day.isSilent ? isOver : fresh.every((chain) => looked.has(chain));
  return {
    rows,
    bytes,
    place: toPlace(place, day, looked),
    isAtEnd: isDone && !isFull(room, { rows, bytes }),
    isFinished: isOver && day.isComplete,
  };
}

type Day = {
  readonly isComplete: boolean;
  readonly isSilent: boolean;
  readonly places: Map<string, Place>;
};

function chooseChains(
  day: Day,
  { through, turn }: DayPlace,
  room: Room,
): { readonly fresh: readonly string[]; readonly chosen: readonly string[] } {
  const open = [...day.places].filter(([, place]) => place !== 'over').map(([chain]) => chain);
  const isFresh = (chain: string): boolean =>
    day.places.get(chain) === 0 && through < toDigits(chain);
  // Those that are over once they are read, in their order, need no room.
  const fresh = open.filter(isFresh).slice(0, day.isSilent ? chainsPerRead : room.chains);
  const known = open.filter((chain) => !isFresh(chain));
  const chosen = day.isComplete
    ? [...fresh.slice(0, chainsPerRead / 2), ...toTurns(known, turn)]
    : toTurns([...known, ...fresh].sort(), turn);
  return { fresh, chosen: chosen.slice(0, chainsPerRead) };
}

function toTurns(chains: readonly string[], turn: string): readonly string[] {
  const next = chains.filter((chain) => turn < toDigits(chain));
  return [...next, ...chains.filter((chain) => toDigits(chain) <= turn)];
}

type Taken = { readonly rows: readonly StoredRow[]; readonly bytes: number };

function isFull(room: Room, { rows, bytes }: Taken): boolean {
  return room.entries <= rows.length || room.bytes <= bytes;
}

// One after the other, so that nothing is read that there is no room for.
async function readChains(
  list: Table['list'],
  { isSilent: isDaySilent, places }: Day,
  chains: readonly string[],
  room: Room,
): Promise<Taken & { readonly looked: ReadonlySet<string> }> {
  const looked = new Set<string>();
  const rows: StoredRow[] = [];
  let bytes = 0;
  for (const chain of chains) {
    const after = places.get(chain);
    if (isFull(room, { rows, bytes }) || typeof after !== 'number') break;
    const limit = room.entries - rows.length;
    const read = await readChain(list, { chain, after, limit, isSilent: isDaySilent });
    const taken = takeWhileRoom(read.rows, room.bytes - bytes);
    rows.push(...taken.rows);
    bytes += taken.bytes;
    looked.add(chain);
    const isWhole = taken.rows.length === read.rows.length;
    const reached = Number(taken.rows.at(-1)?.row ?? after);
    places.set(chain, read.isOver && isWhole ? 'over' : reached);
  }
  return { rows, bytes, looked };
}

type ChainRead = { readonly rows: readonly StoredRow[]; readonly isOver: boolean };

async function readChain(
  list: Table['list'],
  from: {
    readonly chain: string;
    readonly after: number;
    readonly limit: number;
    readonly isSilent: boolean;
  },
): Promise<ChainRead> {
  const { chain, after, limit } = from;
  const found = await list(chain, { from: toEntryKey(after + 1), limit });
  const rows = takeFollowing(found, after, from.isSilent);
  const last = rows.at(-1);
  const isClosed = last !== undefined && parseBody(joinParts(last.values))?.type === 'chain.closed';
  const isAtEnd = found.length < limit || rows.length === 0;
  return { rows, isOver: isClosed || (from.isSilent && isAtEnd) };
}

// One at least, or an entry that is too large would stop its chain.
function takeWhileRoom(rows: readonly StoredRow[], room: number): Taken {
  const taken: StoredRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (room <= bytes) break;
    bytes += Buffer.byteLength(joinParts(row.values));
    taken.push(row);
  }
  return { rows: taken, bytes };
}

function toPlace(before: DayPlace, day: Day, looked: ReadonlySet<string>): DayPlace {
  const isUnknown = (chain: string): boolean =>
    day.places.get(chain) === 0 && !looked.has(chain) && before.through < toDigits(chain);
  const chains = [...day.places.keys()];
  const unknown = chains.findIndex(isUnknown);
  const last = unknown === -1 ? chains.at(-1) : chains[unknown - 1];
  const turn = [...looked].at(-1);
  return condensePlaces(
    {
      day: before.day,
      through: day.isComplete && last !== undefined ? toDigits(last) : '',
      turn: turn === undefined ? before.turn : toDigits(turn),
    },
    day.places,
  );
}
