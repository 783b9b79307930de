import * as z from 'zod';
import { findDay, toDay } from './audit-entry.ts';
import { joinParts } from './audit-parts.ts';
import { type DecisionInput, decisionInputShape } from './decision.ts';
import type { StoredRow, Table } from './table.ts';

/** A decision that was made once. */
type PastDecision = {
  readonly session: string;
  readonly time: string;
  readonly input: DecisionInput;
};

/** Some of the decisions of a range of time, and where to go on. */
export type PastDecisions = {
  readonly decisions: readonly PastDecision[];
  /** How many entries of any kind were read. */
  readonly entries: number;
  /** The position after the last one that was read; absent at the end. */
  readonly nextFrom?: string;
  /** The share of the range that lies behind, from 0 to 1. */
  readonly progress: number;
};

/** A range of time, `from <= time && time < to`; where to go on; and how many entries to read at most. */
export type PastRange = {
  readonly from: Date;
  readonly to: Date;
  readonly nextFrom?: string;
  readonly limit: number;
};

/** A position: a chain and the row of it that is next. */
export const positionPattern = /^\d{8}-[0-9a-f]{16}:\d{12}$/;

const rowsPerCall = 1000;
const dayMilliseconds = 86_400_000;

const entryShape = z.object({
  type: z.enum(['session.allowed', 'session.needs', 'session.denied']),
  time: z.iso.datetime(),
  session: z.string(),
  input: decisionInputShape,
});

type List = Table['list'];

type Place = { readonly chain: string; readonly row: string; readonly progress: number };

/**
 * Reads past decisions from the audit table, chain by chain, in the order of days. Entries that are written meanwhile
 * may be left out; one that cannot be read is passed over. Nothing is verified here.
 */
export async function readPastDecisions(list: List, range: PastRange): Promise<PastDecisions> {
  const decisions: PastDecision[] = [];
  let entries = 0;
  for await (const { chain, row, progress } of findChains(list, range)) {
    let next = row;
    for (;;) {
      if (entries === range.limit)
        return { decisions, entries, nextFrom: `${chain}:${next}`, progress };
      const limit = Math.min(rowsPerCall, range.limit - entries);
      const rows = await list(chain, { from: next, limit });
      entries += rows.length;
      decisions.push(...rows.flatMap((one) => findDecision(one, range)));
      next = toNextRow(rows.at(-1)?.row ?? next);
      if (rows.length < limit) break;
    }
  }
  return { decisions, entries, progress: 1 };
}

async function* findChains(list: List, range: PastRange): AsyncGenerator<Place, void> {
  const [startChain = '', startRow = ''] = range.nextFrom?.split(':') ?? [];
  const days = [...toDays(range)];
  for (const [index, day] of days.entries()) {
    if (day < findDay(startChain)) continue;
    const chains = (await list(`chains|${day}`)).filter(({ row }) => startChain <= row);
    for (const [place, { row: chain }] of chains.entries()) {
      const row = chain === startChain ? startRow : toRow(0);
      yield { chain, row, progress: (index + place / chains.length) / days.length };
    }
  }
}

function* toDays({ from, to }: PastRange): Generator<string, void> {
  const first = Math.floor(from.getTime() / dayMilliseconds) * dayMilliseconds;
  for (let day = first; day < to.getTime(); day += dayMilliseconds) yield toDay(new Date(day));
}

function findDecision({ values }: StoredRow, { from, to }: PastRange): readonly PastDecision[] {
  const parsed = entryShape.safeParse(parseBody(values));
  if (!parsed.success) return [];
  const { session, time, input } = parsed.data;
  const at = Date.parse(time);
  return from.getTime() <= at && at < to.getTime() ? [{ session, time, input }] : [];
}

function parseBody(values: StoredRow['values']): unknown {
  try {
    return JSON.parse(joinParts(values));
  } catch {
    return undefined;
  }
}

function toNextRow(row: string): string {
  return toRow(Number(row) + 1);
}

function toRow(sequence: number): string {
  return String(sequence).padStart(12, '0');
}
