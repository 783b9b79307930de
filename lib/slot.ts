import { createHash } from 'node:crypto';
import type { Row, Table } from './table.ts';

/** A numbered place, of which a partition has a limited number: `slot|000`, `slot|001` and so on. */
export type SlotHolder = {
  readonly partition: string;
  /** Who takes it: a session of a caller, or a connection of a session. */
  readonly holder: string;
  /** When the place is free again, whatever happens to its holder. */
  readonly until: Date;
};

/**
 * Takes one of `limit` places, and tells whether there was one. Each place is a row that only one writer can insert, so
 * the limit holds across processes; a repeated call finds the place that its holder has.
 */
export async function takeSlot(
  table: Table,
  wanted: SlotHolder,
  limit: number,
  now: Date,
): Promise<boolean> {
  // The guess is the holder's own, so that a repeated call makes the same one. It mostly saves the list.
  const guess = toGuess(wanted.holder, limit);
  if ((await table.insert(toSlotRow(wanted, guess))) === 'inserted') return true;
  const slots = await table.list(wanted.partition, { from: 'slot|', before: 'slot}' });
  if (slots.some((slot) => slot.values['holder'] === wanted.holder)) return true;
  const taken = new Set(slots.map((slot) => slot.row));
  for (let number = 0; number < limit; number += 1) {
    if (taken.has(toSlotKey(number))) continue;
    if ((await table.insert(toSlotRow(wanted, number))) === 'inserted') return true;
  }
  const over = slots.filter((slot) => Number(slot.values['until']) <= now.getTime());
  for (const slot of over) {
    if (limit <= Number(slot.row.slice('slot|'.length))) continue;
    const values = toSlotRow(wanted, 0).values;
    if ((await table.replace({ ...slot, values })) === 'replaced') return true;
  }
  return false;
}

/** Gives back the place of a holder; one that has none is no error. */
export async function releaseSlot(table: Table, partition: string, holder: string): Promise<void> {
  const slots = await table.list(partition, { from: 'slot|', before: 'slot}' });
  const own = slots.filter((slot) => slot.values['holder'] === holder);
  await Promise.all(own.map(async (slot) => table.remove(partition, slot.row)));
}

function toSlotRow({ partition, holder, until }: SlotHolder, number: number): Row {
  return { partition, row: toSlotKey(number), values: { holder, until: until.getTime() } };
}

function toSlotKey(number: number): string {
  return `slot|${String(number).padStart(4, '0')}`;
}

function toGuess(holder: string, limit: number): number {
  return createHash('sha256').update(holder).digest().readUInt32BE() % limit;
}
