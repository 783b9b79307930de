import { describe, expect, test } from 'vitest';
import { createHealthCheck } from '../../lib/health.ts';
import { testClock } from '../support/test-broker.ts';

function start() {
  const clock = testClock();
  const logged: string[] = [];
  let calls = 0;
  let isDown = false;
  const state = async () => {
    calls += 1;
    if (isDown) throw new Error('down');
  };
  const check = createHealthCheck(
    { state, keys: async () => undefined },
    clock.now,
    (event) => void logged.push(event),
  );
  return {
    clock,
    check,
    logged,
    calls: () => calls,
    setDown: (value: boolean): void => {
      isDown = value;
    },
  };
}

describe('the health of the broker', () => {
  // Anybody may ask, as often as they like.
  test('is looked at once in five seconds, however many ask', async () => {
    const { check, clock, calls } = start();

    await Promise.all(Array.from({ length: 100 }, check));
    clock.pass(4.999);
    await check();
    expect(calls()).toBe(1);
    clock.pass(0.001);
    await check();

    expect(calls()).toBe(2);
  });

  test('turns red within five seconds, naming the part, and green again', async () => {
    const { check, clock, setDown, logged } = start();
    expect(await check()).toMatchObject({ status: 'healthy' });

    setDown(true);
    clock.pass(5);
    expect(await check()).toEqual({
      status: 'unhealthy',
      checks: { state: 'unhealthy', keys: 'healthy' },
    });
    expect(logged).toEqual(['health.failed']);
    setDown(false);
    clock.pass(5);

    expect(await check()).toMatchObject({ status: 'healthy', checks: { state: 'healthy' } });
  });

  test('is looked at anew when the clock was set back', async () => {
    const { check, clock, calls } = start();
    await check();
    clock.pass(-3600);

    await check();

    expect(calls()).toBe(2);
  });
});
