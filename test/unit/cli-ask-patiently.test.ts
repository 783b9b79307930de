import { describe, expect, test } from 'vitest';
import { askPatiently } from '../../cli/ask-patiently.ts';
import { CommandError } from '../../cli/command-error.ts';

const busy = new CommandError(6, 'Too many requests.', { code: 'rate-limited' });

/** Fails with these one after the other, then answers. */
function askAfter(...failures: readonly Error[]) {
  const left = [...failures];
  const waits: number[] = [];
  const answer = askPatiently({ wait: async (pause) => void waits.push(pause) }, async () => {
    const failure = left.shift();
    if (failure !== undefined) throw failure;
    return 'answer';
  });
  return { answer, waits };
}

describe('askPatiently', () => {
  test('asks again after five seconds, as often as the broker is busy', async () => {
    const { answer, waits } = askAfter(busy, busy);

    expect(await answer).toBe('answer');
    expect(waits).toEqual([5000, 5000]);
  });

  test('gives up after two minutes', async () => {
    const { answer, waits } = askAfter(...Array.from({ length: 25 }, () => busy));

    await expect(answer).rejects.toBe(busy);
    expect(waits).toHaveLength(24);
  });

  test('throws on at once what time does not change', async () => {
    const denied = new CommandError(4, 'The caller lacks a role.', { code: 'role-missing' });
    const { answer, waits } = askAfter(denied);

    await expect(answer).rejects.toBe(denied);
    expect(waits).toEqual([]);
  });
});
