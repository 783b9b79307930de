import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import type { Sealer } from '../../lib/seal-audit.ts';
import { endSession } from '../support/audit-contract.ts';
import { chooseRuns } from '../support/effort.ts';
import { findIndexGaps } from '../support/index-scan.ts';
import type { SealBench } from '../support/test-sealer.ts';
import { startSealBench } from '../support/test-sealer.ts';
import type { Hitch } from '../support/wrapped-table.ts';
import { failCall, holdCall, wrapTable } from '../support/wrapped-table.ts';

const caller = { id: 'tenant.ada', name: 'ada' };

function requestSession(session: string): AuditEvent {
  const request = { target: 'vm', protocol: 'ssh', durationSeconds: 60 } as const;
  return { type: 'session.requested', session, caller, app: 'cli', request };
}

/** Two chains that are not sealed: one tells whose the sessions are, and the other what happened to them. */
async function startBench(): Promise<SealBench> {
  const bench = startSealBench();
  await bench.openWriter().append([requestSession('0')]);
  await bench.openSealer().seal();
  await bench.openWriter().append([requestSession('a'), requestSession('b')]);
  const other = bench.openWriter();
  await other.append([endSession('a'), endSession('b')]);
  await other.close();
  return bench;
}

function openSealer(bench: SealBench, { around }: Hitch): Sealer {
  const { audit, index } = bench;
  return bench.openSealer({ audit: wrapTable(audit, around), index: wrapTable(index, around) });
}

async function summarize(bench: SealBench) {
  const { sealed, unsealed, checkpoints } = await bench.check();
  return {
    sealed,
    unsealed,
    copiesMissing: checkpoints - bench.copies.texts.size,
    faults: bench.findFaults(),
    indexGaps: findIndexGaps(bench.audit.rows(), bench.index.rows()),
  };
}

const whole = { unsealed: 0, copiesMissing: 0, faults: [], indexGaps: [] };

// One call in so many is tried while one works on the code, and every one before a change is taken.
const stride = chooseRuns({ short: 7, full: 1, long: 1 });

describe('two sealers', () => {
  test('seal everything once, whichever call of the one the other comes between', async () => {
    for (let at = 0, isReached = true; isReached; at += stride) {
      const bench = await startBench();
      const writer = bench.openWriter();
      const other = bench.openSealer();
      const held = holdCall(at, async () => {
        await writer.append([endSession('a'), requestSession('c')]);
        await other.seal();
      });
      const sealer = openSealer(bench, held);

      await sealer.seal();
      isReached = at < held.end();
      await writer.append([endSession('c')]);
      await Promise.all([sealer.seal(), other.seal()]);
      await sealer.seal();

      expect(await summarize(bench)).toEqual({ ...whole, sealed: isReached ? 13 : 11 });
    }
  });
});

describe('a sealer that is cut short at any call', () => {
  test.each([
    ['fails before', 'before', false],
    ['fails after', 'after', false],
    ['dies before', 'before', true],
    ['dies after', 'after', true],
  ] as const)('and %s it leaves nothing that the next does not make up for', async (...crash) => {
    const [, fault, isDeath] = crash;
    for (let at = 0, isReached = true; isReached; at += stride) {
      const bench = await startBench();
      const failing = failCall(at, fault, isDeath);
      const sealer = openSealer(bench, failing);

      await Promise.allSettled([sealer.seal()]);
      isReached = at < failing.end();
      const next = isDeath ? bench.openSealer() : sealer;
      await next.seal();
      await bench.openWriter().append([endSession('b')]);
      await next.seal();

      expect(await summarize(bench)).toEqual({ ...whole, sealed: 11 });
    }
  });
});
