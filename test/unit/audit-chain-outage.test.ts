import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { chooseRuns } from '../support/effort.ts';
import { endSession } from '../support/audit-contract.ts';
import type { TableFault } from '../support/memory-table.ts';
import { openTestAudit } from '../support/test-audit.ts';
import { testClock, testKeys } from '../support/test-broker.ts';

const unavailable = { code: 'audit-unavailable', details: { retryAfterSeconds: 5 } };

describe('openAudit', () => {
  test.each<TableFault>(['before', 'after'])(
    'refuses while the table fails %s it stores, and then goes on with the same chain',
    async (fault) => {
      let current: TableFault | undefined;
      const { audit, logged, read } = openTestAudit(() => current);
      await audit.append([endSession('a')]);

      current = fault;
      await expect(audit.append([endSession('b')])).rejects.toMatchObject(unavailable);
      await expect(audit.append([endSession('c')])).rejects.toMatchObject(unavailable);
      current = undefined;
      await audit.append([endSession('d')]);

      const { entries, faults } = await read();
      expect(faults).toEqual([]);
      // What was refused may be stored all the same; what is certain is its place, and that it is there once.
      expect(entries.map(({ session }) => session)).toEqual([undefined, 'a', 'b', 'd']);
      expect(logged).toEqual(['audit-unavailable', 'audit-unavailable']);
    },
  );

  test.each<TableFault>(['before', 'after'])(
    'announces one chain, however often the table fails %s it stores',
    async (fault) => {
      let current: TableFault | undefined = fault;
      const { audit, read, table } = openTestAudit(() => current);

      await expect(audit.append([endSession('a')])).rejects.toMatchObject(unavailable);
      await expect(audit.append([endSession('b')])).rejects.toMatchObject(unavailable);
      current = undefined;
      await audit.append([endSession('c')]);

      expect(table.rows().filter(({ partition }) => partition.startsWith('chains|'))).toHaveLength(
        1,
      );
      expect((await read()).entries.map(({ session }) => session)).toEqual([undefined, 'c']);
    },
  );

  test('tells all who wait at once when the table fails', async () => {
    const { promise: hold, resolve: release } = Promise.withResolvers<TableFault>();
    let calls = 0;
    const { audit } = openTestAudit((operation) => {
      if (operation !== 'insertAll') return undefined;
      calls += 1;
      return hold;
    });
    const appends = Array.from({ length: 200 }, (_, i) => audit.append([endSession(String(i))]));

    release('before');

    const results = await Promise.allSettled(appends);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    expect(calls).toBe(1);
  });

  test('leaves a chain that another has written into, and begins one after its own last entry', async () => {
    const { audit, logged, read, table } = openTestAudit();
    const [receipt] = await audit.append([endSession('a')]);
    const partition = receipt?.chain ?? '';
    await table.insert({ partition, row: '000000000003', values: { b: '{}', h: 'x' } });

    await expect(audit.append([endSession('b')])).rejects.toMatchObject(unavailable);
    const [next] = await audit.append([endSession('c')]);

    expect(logged).toEqual(['audit-chain-displaced']);
    expect(next?.chain).not.toBe(partition);
    await table.remove(partition, '000000000003');
    const { entries, faults } = await read();
    expect(faults).toEqual([]);
    expect(
      entries.find(({ chain, type }) => chain === next?.chain && type === 'chain.opened'),
    ).toMatchObject({
      after: { chain: partition, sequence: 2, hash: receipt?.hash },
    });
  });

  test('takes no more than 5,000 events into memory', async () => {
    const { promise: hold, resolve: release } = Promise.withResolvers<undefined>();
    const { audit, read } = openTestAudit(() => hold);
    const first = audit.append([endSession('first')]);
    const many = audit.append(Array.from({ length: 5000 }, () => endSession('many')));

    await expect(audit.append([endSession('one more')])).rejects.toMatchObject(unavailable);

    release(undefined);
    await Promise.all([first, many]);
    expect((await read()).entries).toHaveLength(5002);
  });

  test('refuses without a key, and works once there is one', async () => {
    const down = new BrokerError('keys-unavailable', 'Try again.');
    const { current } = testKeys(testClock().now, 'https://broker.test');
    let isDown = true;
    const keys = { current: async () => (isDown ? Promise.reject(down) : current()) };
    const { audit } = openTestAudit(undefined, keys);

    await expect(audit.append([endSession('a')])).rejects.toMatchObject({
      ...unavailable,
      cause: down,
    });
    isDown = false;

    expect(await audit.append([endSession('b')])).toHaveLength(1);
  });

  describe('close', () => {
    test('writes what waits, and takes nothing more', async () => {
      const { audit, read } = openTestAudit();
      const appends = Array.from({ length: 60 }, (_, i) => audit.append([endSession(String(i))]));

      await audit.close();

      await expect(audit.append([endSession('late')])).rejects.toMatchObject(unavailable);
      expect(await Promise.all(appends)).toHaveLength(60);
      const { entries, faults } = await read();
      expect(faults).toEqual([]);
      expect(entries).toHaveLength(62);
      expect(entries.at(-1)?.type).toBe('chain.closed');
    });

    test('writes nothing when nothing was ever written', async () => {
      const { audit, table } = openTestAudit();

      await audit.close();

      expect(table.rows()).toEqual([]);
    });

    test('does not fail when the table does', async () => {
      let fault: TableFault | undefined;
      const { audit, logged } = openTestAudit(() => fault);
      await audit.append([endSession('a')]);
      fault = 'before';

      await audit.close();

      expect(logged).toEqual(['audit-left-open']);
    });
  });

  // Acknowledged is stored, once, in its place, however the table fails; this is what a ticket waits for.
  test('keeps every acknowledged event exactly once under any faults', async () => {
    const faultArbitrary = fc.array(
      fc.constantFrom<TableFault | undefined>('before', 'after', undefined, undefined),
    );
    const stepArbitrary = fc.array(
      fc.record({ events: fc.integer({ min: 1, max: 60 }), pass: fc.constantFrom(0, 0, 40_000) }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(faultArbitrary, stepArbitrary, async (faults, steps) => {
        const left = [...faults];
        const { audit, clock, read } = openTestAudit(() => left.shift());
        const acknowledged: string[] = [];
        let count = 0;
        for (const { events, pass } of steps) {
          const names = Array.from({ length: events }, () => String((count += 1)));
          const appends = names.map(async (name) => {
            const [receipt] = await audit.append([endSession(name)]);
            acknowledged.push(
              `${name} ${receipt?.chain ?? ''} ${receipt?.sequence ?? ''} ${receipt?.hash ?? ''}`,
            );
          });
          await Promise.allSettled(appends);
          clock.pass(pass);
        }
        await audit.close();
        const { entries, faults: found } = await read();
        const stored = entries.map(
          ({ session, chain, seq, hash }) => `${String(session)} ${chain} ${seq} ${hash}`,
        );
        expect(found).toEqual([]);
        expect(stored).toEqual(expect.arrayContaining(acknowledged));
        const sessions = entries.flatMap(({ session }) => session ?? []);
        expect(new Set(sessions).size).toBe(sessions.length);
      }),
      { numRuns: chooseRuns({ short: 25, full: 25, long: 2000 }) },
    );
  });
});
