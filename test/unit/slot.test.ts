import { describe, expect, test } from 'vitest';
import { releaseSlot, takeSlot } from '../../lib/slot.ts';
import type { IsHeld } from '../../lib/slot.ts';
import { memoryTable } from '../support/memory-table.ts';
import { testClock } from '../support/test-broker.ts';

const partition = 'u|ada';

function start(limit: number, isHeld: IsHeld = async () => false) {
  const clock = testClock();
  const table = memoryTable();
  const take = async (holder: string, isRepeated = false): Promise<boolean> => {
    const wanted = { partition, holder, about: `about-${holder}`, limit, isRepeated };
    return takeSlot(table, wanted, clock.now(), isHeld);
  };
  return { clock, table, take };
}

/** Returns a holder whose first guess is this place. */
async function findHolder(guess: string, limit: number, name: string): Promise<string> {
  for (let i = 0; ; i += 1) {
    const { table, take } = start(limit);
    await take(`${name}-${String(i)}`);
    if (table.rows()[0]?.row === guess) return `${name}-${String(i)}`;
  }
}

describe('takeSlot', () => {
  test('gives exactly three of three places to twenty who ask at once', async () => {
    const { table, take } = start(3);
    const holders = Array.from({ length: 20 }, (_, i) => `holder-${String(i)}`);

    const taken = await Promise.all(holders.map(async (holder) => take(holder)));

    expect(taken.filter(Boolean)).toHaveLength(3);
    expect(table.rows().map(({ row }) => row)).toEqual(['slot|0000', 'slot|0001', 'slot|0002']);
  });

  test('gives one place to a holder that asks again', async () => {
    const { table, take } = start(3);

    const taken = [await take('a'), await take('a'), await take('a')];

    expect(taken).toEqual([true, true, true]);
    expect(table.rows()).toHaveLength(1);
  });

  // The holder's guess was taken by another at first, and is free when it asks again.
  test('gives one place to a holder that asks again when its first choice is free', async () => {
    const { table, take } = start(2);
    const [first, second] = [
      await findHolder('slot|0000', 2, 'first'),
      await findHolder('slot|0000', 2, 'second'),
    ];
    await take(first);
    await take(second);
    await releaseSlot(table, partition, first);

    await take(second, true);

    expect(table.rows()).toHaveLength(1);
  });

  // A process that dies between its place and its session must not lock its caller out for hours.
  test.each([
    [59, false],
    [60, false],
    [61, true],
  ])('after %i s frees the place of a holder that was never stored: %s', async (seconds, frees) => {
    const { clock, take } = start(1);
    await take('dead');
    clock.pass(seconds);

    expect(await take('next')).toBe(frees);
  });

  test('never frees the place of a holder that still is what it was', async () => {
    const asked: string[][] = [];
    const { clock, table, take } = start(1, async (...about) => {
      asked.push(about);
      return true;
    });
    await take('alive');
    clock.pass(86_400);

    expect(await take('next')).toBe(false);
    expect(asked).toEqual([['alive', 'about-alive']]);
    expect(table.rows()).toMatchObject([{ values: { holder: 'alive' } }]);
  });

  test('gives the place of one dead holder to one of twenty', async () => {
    const { clock, take } = start(1, async (holder) => holder !== 'dead');
    await take('dead');
    clock.pass(61);

    const taken = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => take(`holder-${String(i)}`)),
    );

    expect(taken.filter(Boolean)).toHaveLength(1);
  });

  test('gives a freed place its new holder, whose minute begins then', async () => {
    const { clock, take } = start(1);
    await take('dead');
    clock.pass(61);
    await take('next');
    clock.pass(59);

    expect(await take('third')).toBe(false);
    expect(await take('next')).toBe(true);
  });

  test('gives no place beyond a limit that was lowered', async () => {
    const { clock, table, take } = start(3, async () => true);
    for (const holder of ['a', 'b', 'c']) await take(holder);
    clock.pass(61);
    const wanted = { partition, holder: 'd', about: 'd', limit: 2, isRepeated: false };

    const taken = await takeSlot(table, wanted, clock.now(), async () => true);

    expect(taken).toBe(false);
  });
});

describe('releaseSlot', () => {
  test('gives the place back, and no other', async () => {
    const { table, take } = start(2);
    await take('a');
    await take('b');

    await releaseSlot(table, partition, 'a');

    expect(table.rows()).toMatchObject([{ values: { holder: 'b' } }]);
    expect(await take('c')).toBe(true);
    expect(await take('d')).toBe(false);
  });

  test('does nothing for a holder that has no place', async () => {
    const { table, take } = start(1);
    await take('a');

    await releaseSlot(table, partition, 'b');

    expect(table.rows()).toHaveLength(1);
  });
});
