import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ByteLimit } from '../../gateway/byte-limit.ts';
import { ByteLimits } from '../../gateway/byte-limits.ts';
import { Connection } from '../../gateway/connection.ts';
import type { RedeemAnswer } from '../../lib/gateway-call.ts';

const session = '33333333-3333-4333-8333-333333333333';

function grant(maxBytes: number, here = 0, elsewhere = 0): RedeemAnswer {
  return {
    connection: '44444444-4444-4444-8444-444444444444',
    session,
    caller: 'tenant.ada',
    protocol: 'ssh',
    host: '10.0.0.4',
    port: 22,
    deadline: '2100-01-01T12:00:00Z',
    terms: { maxBytes },
    leaseSeconds: 15,
    graceSeconds: 86_400,
    bytesBefore: { here, elsewhere },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets a connection in, and returns it with the reason why it was cut, once it was. */
function join(limits: ByteLimits, granted: RedeemAnswer) {
  const connection = new Connection(granted, limits.find(granted));
  const cuts: string[] = [];
  connection.whenCut((reason) => {
    cuts.push(reason);
    connection.end(reason);
  });
  return { connection, cuts };
}

/** One step of a session's traffic: who carries how much, or what the broker says about others. */
const step = fc.oneof(
  fc.record({ who: fc.nat({ max: 3 }), bytes: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ elsewhere: fc.nat({ max: 700 }) }),
);

describe('the bytes of a limited session', () => {
  test('are never exceeded here, whoever carries them in whatever pieces, and are all to be had', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }),
        fc.array(step, { maxLength: 60 }),
        (max, steps) => {
          const limit = new ByteLimit();
          const shares = [0, 1, 2, 3].map(() => limit.join(max, () => undefined));
          let here = 0;
          let elsewhere = 0;
          for (const one of steps) {
            if ('elsewhere' in one) {
              limit.note(one);
              elsewhere = Math.max(elsewhere, one.elsewhere);
              continue;
            }
            const left = Math.max(0, max - here - elsewhere);
            const allowed = shares[one.who]?.take(one.bytes) ?? 0;
            expect(allowed).toBe(Math.min(one.bytes, left));
            here += allowed;
          }
          expect(here).toBeLessThanOrEqual(max);
        },
      ),
    );
  });

  test('run out for all connections of the session here at once, and for no other session', () => {
    const limits = new ByteLimits();
    const [one, two] = [join(limits, grant(100)), join(limits, grant(100))];
    const stranger = join(limits, { ...grant(100), session: crypto.randomUUID() });

    expect(one.connection.countUp(60)).toBe(60);
    expect(two.connection.countDown(40)).toBe(40);
    expect([...one.cuts, ...two.cuts]).toEqual([]);
    expect(one.connection.countUp(1)).toBe(0);
    one.connection.exhaust();

    expect([one.cuts, two.cuts, stranger.cuts]).toEqual([['byte-limit'], ['byte-limit'], []]);
    expect([one.connection.bytesUp, two.connection.bytesDown]).toEqual([60, 40]);
    expect(stranger.connection.countUp(100)).toBe(100);
  });

  test('count what the broker knows, here and elsewhere, when a connection is let in', () => {
    const { connection } = join(new ByteLimits(), grant(100, 30, 50));

    expect(connection.countUp(60)).toBe(20);
  });

  test('are used up by what others carry, as a lease tells', () => {
    const limits = new ByteLimits();
    const { connection, cuts } = join(limits, grant(100));
    connection.countUp(40);
    limits.note([{ session, bytes: 59 }]);
    expect(cuts).toEqual([]);

    limits.note([{ session, bytes: 60 }]);

    expect(cuts).toEqual(['byte-limit']);
  });

  // What the broker has not heard of yet was carried all the same.
  test('do not come back when the broker knows less than this process', () => {
    const limits = new ByteLimits();
    const first = join(limits, grant(100, 0, 30));
    first.connection.countUp(40);
    first.connection.end('client-closed');
    limits.note([{ session, bytes: 10 }]);

    const second = join(limits, grant(100, 0, 0));

    expect(second.connection.countUp(100)).toBe(30);
  });

  test('are cut by the limit that each connection was granted', () => {
    const limits = new ByteLimits();
    const [older, newer] = [join(limits, grant(100)), join(limits, grant(50))];
    older.connection.countUp(50);
    expect(newer.connection.countUp(1)).toBe(0);
    newer.connection.exhaust();

    expect([older.cuts, newer.cuts]).toEqual([[], ['byte-limit']]);
    expect(older.connection.countUp(100)).toBe(50);
  });
});

describe('the count of a session without a connection', () => {
  function countAfter(milliseconds: number, unreported: readonly string[]): number {
    const limits = new ByteLimits();
    const first = join(limits, grant(100));
    first.connection.countUp(40);
    first.connection.end('client-closed');
    vi.advanceTimersByTime(milliseconds);
    limits.sweep(new Set(unreported));
    return join(limits, grant(100)).connection.countUp(100);
  }

  // A redemption that was answered before the close was recorded may still be under way.
  test.each([
    ['kept for a minute', 59_000, [], 60],
    ['kept while its closes are not reported', 3_600_000, [session], 60],
    ['forgotten then, for the broker knows it', 61_000, [], 100],
  ])('is %s', (_name, milliseconds, unreported, left) => {
    expect(countAfter(milliseconds, unreported)).toBe(left);
  });

  test('is kept while there is a connection', () => {
    const limits = new ByteLimits();
    const { connection } = join(limits, grant(100));
    connection.countUp(40);
    vi.advanceTimersByTime(3_600_000);
    limits.sweep(new Set());

    expect(join(limits, grant(100)).connection.countUp(100)).toBe(60);
  });
});
