import * as z from 'zod';

/** The sequence of the last entry of a chain that was handed out, or that no more come: `over`. */
export type Place = number | 'over';

/**
 * How far the chains of one day have been read. Of a chain that is not listed nothing has been, unless its id is not
 * behind `through`: then it is over.
 */
export const dayPlaceShape = z.strictObject({
  day: z.string().regex(/^\d{8}$/),
  /** The last 16 digits of a chain id. Empty while chains of the day may still be announced. */
  through: z.string().regex(/^(?:[0-9a-f]{16})?$/),
  /** How many bytes of the id stand for a chain. */
  idBytes: z.int().min(3).max(8),
  /** For each listed chain that is not over: its id, and its place in base 128, the lowest digit first. */
  open: z.base64url(),
  /** The ids of the listed chains that are over. */
  over: z.base64url(),
  /** The chain that was looked at last, by its last 16 digits: the others have their turn first. */
  turn: z.string().regex(/^(?:[0-9a-f]{16})?$/),
});

/** How far a day has been read, as a cursor holds it: short, because a URL holds it. */
export type DayPlace = z.infer<typeof dayPlaceShape>;

/** A day of which nothing has been read. */
export function startDay(day: string): DayPlace {
  return { day, through: '', idBytes: 3, open: '', over: '', turn: '' };
}

/** How many chains are listed of a day. */
export function countPlaces(place: DayPlace): number {
  return readPlaces(place).size;
}

/**
 * Returns the place in each of the chains of a day. Two that the cursor cannot tell apart are begun anew: their entries
 * come twice rather than never.
 */
export function resolvePlaces(
  place: DayPlace,
  chains: readonly string[],
): ReadonlyMap<string, Place> {
  const listed = readPlaces(place);
  const toId = (chain: string): string => toDigits(chain).slice(0, place.idBytes * 2);
  const seen = Map.groupBy(chains, toId);
  return new Map(
    chains.map((chain) => {
      const unlisted = toDigits(chain) <= place.through ? 'over' : 0;
      const isClear = seen.get(toId(chain))?.length === 1;
      return [
        chain,
        isClear || !listed.has(toId(chain)) ? (listed.get(toId(chain)) ?? unlisted) : 0,
      ];
    }),
  );
}

/** Returns the short form of the places in all chains of a day. */
export function condensePlaces(
  { day, through, turn }: Pick<DayPlace, 'day' | 'through' | 'turn'>,
  places: ReadonlyMap<string, Place>,
): DayPlace {
  const ids = [...places.keys()].map(toDigits);
  const idBytes = [3, 4, 5, 6, 7].find((bytes) => isUnique(ids, bytes)) ?? 8;
  const open: Buffer[] = [];
  const over: Buffer[] = [];
  for (const [chain, place] of places) {
    const id = Buffer.from(toDigits(chain).slice(0, idBytes * 2), 'hex');
    const isBehind = through < toDigits(chain);
    if (place === 'over' && isBehind) over.push(id);
    if (place !== 'over' && (0 < place || !isBehind)) open.push(id, toNumberBytes(place));
  }
  return { day, through, idBytes, open: toText(open), over: toText(over), turn };
}

/** Returns what tells a chain from the others of its day. */
export function toDigits(chain: string): string {
  return chain.slice(9);
}

function isUnique(ids: readonly string[], bytes: number): boolean {
  return new Set(ids.map((id) => id.slice(0, bytes * 2))).size === ids.length;
}

function readPlaces({ idBytes, open, over }: DayPlace): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  const overBytes = Buffer.from(over, 'base64url');
  for (let at = 0; at < overBytes.length; at += idBytes)
    places.set(overBytes.toString('hex', at, at + idBytes), 'over');
  const openBytes = Buffer.from(open, 'base64url');
  for (let at = 0; at < openBytes.length;) {
    const id = openBytes.toString('hex', at, at + idBytes);
    const { value, end } = readNumber(openBytes, at + idBytes);
    places.set(id, value);
    at = end;
  }
  return places;
}

function toNumberBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; 128 <= rest; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return Buffer.from([...bytes, rest]);
}

function readNumber(
  bytes: Buffer,
  start: number,
): { readonly value: number; readonly end: number } {
  let value = 0;
  let weight = 1;
  for (let at = start; ; at += 1, weight *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte % 128) * weight;
    if (byte < 128) return { value, end: at + 1 };
  }
}

function toText(parts: readonly Buffer[]): string {
  return Buffer.concat(parts).toString('base64url');
}
