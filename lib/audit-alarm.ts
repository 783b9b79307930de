import * as z from 'zod';
import type { AuditFault } from './audit-verify-fault.ts';
import type { StoredRow, Table } from './table.ts';
import { toKey } from './table-key.ts';

/** A fault that a sealer has found in the audit log, as it is kept until an operator has looked into it. */
export const alarmShape = z.strictObject({
  code: z.string(),
  detail: z.string(),
  chain: z.string().exactOptional(),
  sequence: z.int().exactOptional(),
  checkpoint: z.int().exactOptional(),
  foundAt: z.iso.datetime(),
  /** Set by an operator, in the table: health is green again, and the chain stays unsealed. */
  acknowledged: z.boolean(),
});

export type Alarm = z.infer<typeof alarmShape>;

const partition = 'alarms';

// Who can forge one fault can forge any number.
const mostAlarms = 100;

/** Keeps the fault. The first of a chain stays: what comes after it follows from it. */
export async function raiseAlarm(
  index: Pick<Table, 'insert'>,
  fault: AuditFault,
  now: Date,
): Promise<void> {
  const { code, detail, ...place } = fault;
  const row = fault.chain === undefined ? `checkpoint|${code}` : `chain|${toKey(fault.chain)}`;
  const values = { code, detail, ...place, foundAt: now.toISOString(), acknowledged: false };
  await index.insert({ partition, row, values });
}

/** Returns the faults that were found, the first hundred. */
export async function readAlarms(index: Pick<Table, 'list'>): Promise<readonly Alarm[]> {
  const rows = await index.list(partition, { limit: mostAlarms });
  return rows.map(toAlarm);
}

function toAlarm({ row, values }: StoredRow): Alarm {
  const parsed = alarmShape.safeParse(values);
  // Something that cannot be read is no reason to be calm.
  return (
    parsed.data ?? {
      code: 'unreadable',
      detail: `The alarm ${row} cannot be read.`,
      foundAt: new Date(0).toISOString(),
      acknowledged: false,
    }
  );
}
