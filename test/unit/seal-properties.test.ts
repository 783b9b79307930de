import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import { endSession } from '../support/audit-contract.ts';
import { chooseRuns } from '../support/effort.ts';
import { findIndexGaps } from '../support/index-scan.ts';
import { startSealBench } from '../support/test-sealer.ts';
import type { Around } from '../support/wrapped-table.ts';
import { outage, wrapTable } from '../support/wrapped-table.ts';

function requestSession(session: string): AuditEvent {
  const caller = { id: `tenant.${session}`, name: session };
  const request = { target: 'vm', protocol: 'ssh', durationSeconds: 60 } as const;
  return { type: 'session.requested', session, caller, app: 'cli', request };
}

const draw = fc.record({
  turns: fc.nat(12),
  fault: fc.constantFrom('none', 'none', 'none', 'none', 'none', 'before', 'after'),
});

type Draw = { readonly turns: number; readonly fault: string };

/** Holds each call for some turns of the event loop and lets some fail. */
function stumble(next: () => Draw): Around {
  return async (act) => {
    const { turns, fault } = next();
    for (let turn = 0; turn < turns; turn += 1)
      await new Promise((resolve) => void setImmediate(resolve));
    if (fault === 'before') throw outage();
    const result = await act();
    if (fault === 'after') throw outage();
    return result;
  };
}

describe('for any order of their calls, and any that fail,', () => {
  test('three sealers seal each entry once, miss none, and leave no gap in the index', async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(draw), async (stream) => {
        const bench = startSealBench();
        await bench.openWriter().append([endSession('0')]);
        await bench.openSealer().seal();
        const next = (): Draw => {
          const drawn = stream.next();
          return drawn.done === true ? { turns: 0, fault: 'none' } : drawn.value;
        };
        const { audit, index } = bench;
        const sealers = Array.from({ length: 3 }, () => {
          const around = stumble(next);
          return bench.openSealer({
            audit: wrapTable(audit, around),
            index: wrapTable(index, around),
          });
        });
        // One writer tells whose the sessions are, and two what becomes of them.
        const writers = [bench.openWriter(), bench.openWriter(), bench.openWriter()];
        const write = async (): Promise<void> => {
          for (let i = 0; i < 4; i += 1) {
            const session = String(i);
            await writers[1 + (i % 2)]?.append([endSession(session)]);
            for (let turn = next().turns; 0 < turn; turn -= 1)
              await new Promise((resolve) => void setImmediate(resolve));
            await writers[0]?.append([requestSession(session)]);
          }
        };
        const seal = async (sealer: (typeof sealers)[number]): Promise<void> => {
          for (let run = 0; run < 4; run += 1) await Promise.allSettled([sealer.seal()]);
        };

        await Promise.all([write(), ...sealers.map(seal)]);
        await bench.openSealer().seal();

        expect(await bench.check()).toMatchObject({ sealed: 13, unsealed: 0 });
        expect(findIndexGaps(audit.rows(), index.rows())).toEqual([]);
        expect(bench.findFaults()).toEqual([]);
      }),
      { numRuns: chooseRuns({ short: 5, full: 100, long: 2000 }) },
    );
  });
});
