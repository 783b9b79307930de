import type { Alarm } from './audit-alarm.ts';
import { readAlarms } from './audit-alarm.ts';
import { readParts } from './audit-query.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { Probes } from './health.ts';
import { Degraded } from './health.ts';
import { requireRole } from './role.ts';
import type { TailParts } from './unsealed-tail.ts';
import { readTail } from './unsealed-tail.ts';

// The next run is half a minute away; what ten minutes have not sealed, no sealer is sealing.
const lateMilliseconds = 600_000;

/** Returns what is wrong with the audit log, with the role `Audit.Read`. */
export async function listAlarms(broker: Broker, caller: Caller): Promise<readonly Alarm[]> {
  requireRole(caller, 'Audit.Read');
  return readAlarms(readParts(broker).index);
}

/**
 * Returns the probe of the audit log: unhealthy when something is wrong with a checkpoint, or with a chain and no operator
 * has acknowledged it; degraded when an entry is older than ten minutes and not sealed. The error says which, for the log.
 */
export function createAuditProbe(parts: TailParts): Probes[string] {
  return async () => {
    const [{ fault, last }, alarms] = await Promise.all([
      parts.checkpoints.follow(),
      readAlarms(parts.index),
    ]);
    if (fault !== undefined) throw new Error(fault.detail);
    const alarm = alarms.find(({ acknowledged }) => !acknowledged);
    if (alarm !== undefined) throw new Error(alarm.detail);
    const before = parts.now().getTime() - lateMilliseconds;
    if (last !== undefined && before < Date.parse(last.checkpoint.time)) return;
    await findLate(parts, before);
  };
}

async function findLate(parts: TailParts, before: number): Promise<void> {
  const { entries } = await readTail(parts);
  const late = entries.find(({ time }) => time.getTime() <= before);
  if (late === undefined) return;
  const { chain, sequence } = late.pointer;
  throw new Degraded(`entry ${sequence} of chain ${chain} is not sealed after ten minutes`);
}
