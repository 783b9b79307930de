import { describe, expect, test } from 'vitest';
import { endSession } from '../support/audit-contract.ts';
import type { TableFault } from '../support/memory-table.ts';
import { openTestAudit } from '../support/test-audit.ts';

// A sealer looks two days back, and no further.
describe('openAudit, when it is long in doubt whether a batch was stored,', () => {
  async function stayInDoubt(fault: TableFault, seconds: number) {
    let current: TableFault | undefined;
    const setup = openTestAudit(() => current);
    await setup.audit.append([endSession('a')]);
    current = fault;
    await setup.audit.append([endSession('b')]).catch(() => undefined);
    current = undefined;
    setup.clock.pass(seconds);
    await setup.audit.append([endSession('c')]);
    const { entries, faults } = await setup.read();
    expect(faults).toEqual([]);
    return entries.flatMap(({ session }) => session ?? []);
  }

  test.each([
    ['stores it within the hour', 'before', 3599, ['a', 'b', 'c']],
    ['does not store it later', 'before', 3600, ['a', 'c']],
    ['goes on after it when it was stored', 'after', 3600, ['a', 'b', 'c']],
    ['does not store it on another day', 'before', 12 * 3600, ['a', 'c']],
    ['finds it on another day', 'after', 12 * 3600, ['a', 'b', 'c']],
  ] as const)('%s', async (_name, fault, seconds, sessions) => {
    expect(await stayInDoubt(fault, seconds)).toEqual(sessions);
  });
});
