import { app } from '@azure/functions';
import type { Sealer } from '../lib/seal-audit.ts';
import { findSealer } from './compose-sealer.ts';
import { log } from './log.ts';

/** Seals what the audit log has gained, where this process is a sealer. */
export async function handler(_timer: unknown, _context: unknown, given?: Sealer): Promise<void> {
  const sealer = given ?? (await findSealer());
  const run = await sealer?.seal();
  if (run?.checkpoint !== undefined) log('audit.sealed', run);
}

// As often as the other timers: what is not sealed yet is what somebody with the table could still cut off.
app.timer('seal', { schedule: '10,40 * * * * *', handler });
