import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Client, Operation } from '../../cli/api-client.ts';
import { awaitExtension, awaitSession } from '../../cli/await-session.ts';
import type { AwaitPorts } from '../../cli/await-session.ts';
import { CommandError } from '../../cli/command-error.ts';
import { toEndError } from '../../cli/end-sentence.ts';
import { findPause, isPassing } from '../../cli/follow-operation.ts';
import { describeProgress } from '../../cli/progress-sentence.ts';
import { createTerminal } from '../../cli/terminal.ts';
import { endReasons } from '../../lib/session-view.ts';
import type { SessionView } from '../../lib/session-view.ts';

const id = '5a11a000-0000-4000-8000-0000000000a1';
const noon = new Date('2025-11-24T12:00:00Z');
const etag = '"digest"';

const approval: NonNullable<SessionView['approval']> = {
  kind: 'session',
  etag,
  needs: [{ group: 'g1', count: 2 }],
  durationSeconds: 1800,
  expiresAt: '2025-11-24T20:00:00Z',
  votes: [],
};

const grace = { id: 'tenant.grace', name: 'Grace' };

const granted: SessionView = {
  id,
  state: 'ready',
  caller: { id: 'tenant.ada', name: 'Ada' },
  target: { id: '5a11a000-0000-4000-8000-0000000000f1', name: 'vm-one' },
  protocol: 'ssh',
  port: 22,
  createdAt: noon.toISOString(),
  deadline: '2025-11-24T20:00:00Z',
  terms: {},
  decision: { policies: [], digest: 'd' },
  endpoint: 'wss://gateway.example/connect',
};

const pending: SessionView = {
  ...granted,
  state: 'pendingApproval',
  progress: 'approval',
  approval,
};

function operation(changes: Partial<Operation> = {}): Operation {
  const resourceLocation = `https://broker.example/api/sessions/${id}`;
  return { id, status: 'Running', createdAt: noon.toISOString(), resourceLocation, ...changes };
}

const running = operation();
const succeeded = operation({ status: 'Succeeded' });
const failed = operation({ status: 'Failed', error: { code: 'x', message: 'It did not work.' } });
const outage = new CommandError(7, 'Try again.');

/** A broker that gives these answers in turn, and a clock that runs only while somebody waits. */
function createBench(
  answers: readonly (Operation | CommandError)[],
  sessions: readonly SessionView[] = [granted],
): AwaitPorts & { readonly asked: number[]; readonly lines: string[] } {
  const [left, views] = [[...answers], [...sessions]];
  let seconds = 0;
  const asked: number[] = [];
  const lines: string[] = [];
  const sink = { write: (text: string) => lines.push(text) };
  const readOperation: Client['readOperation'] = async () => {
    asked.push(seconds);
    const answer = left.shift() ?? outage;
    if (answer instanceof CommandError) throw answer;
    return Promise.resolve(answer);
  };
  return {
    asked,
    lines,
    terminal: createTerminal(
      () => sink,
      () => sink,
    ),
    now: () => new Date(noon.getTime() + seconds * 1000),
    wait: async (milliseconds) => {
      seconds += milliseconds / 1000;
      return Promise.resolve();
    },
    client: {
      readOperation,
      readSession: async () =>
        Promise.resolve((views.length > 1 ? views.shift() : views[0]) ?? granted),
    },
  };
}

describe('awaitSession', () => {
  test('asks nothing about a session that is ready', async () => {
    const bench = createBench([]);

    expect(await awaitSession(bench, { session: granted })).toBe(granted);
    expect(bench.asked).toEqual([]);
  });

  test('asks no sooner than the broker says, and returns the session that came of it', async () => {
    const later = operation({ retryAfterSeconds: 20 });
    const bench = createBench([later, running, succeeded]);

    const session = await awaitSession(bench, { session: pending, retryAfterSeconds: 3 });

    expect(session).toEqual(granted);
    expect(bench.asked).toEqual([3, 23, 28]);
  });

  test('backs off while the broker is down or busy, and goes on when it is back', async () => {
    const busy = new CommandError(6, 'Slowly.', { code: 'rate-limited', retryAfterSeconds: 30 });
    const bench = createBench([outage, outage, busy, succeeded]);

    await awaitSession(bench, { session: pending, retryAfterSeconds: 5 });

    expect(bench.asked).toEqual([5, 15, 35, 75]);
  });

  test('gives up on a broker that stays away, with its own failure', async () => {
    const bench = createBench([]);

    await expect(awaitSession(bench, { session: pending })).rejects.toBe(outage);
    expect(bench.asked).toHaveLength(9);
  });

  test('passes on at once what no later try will change', async () => {
    const bench = createBench([new CommandError(5, 'There is no such thing.')]);

    await expect(awaitSession(bench, { session: pending })).rejects.toMatchObject({ exitCode: 5 });
    expect(bench.asked).toHaveLength(1);
  });

  // A broker that never decides must not hold a script for ever.
  test('ends when the time that the broker told is long past', async () => {
    const overdue = { ...pending, deadline: '2025-11-24T12:01:00Z' };
    const bench = createBench(
      Array.from({ length: 999 }, () => running),
      [overdue],
    );

    await expect(awaitSession(bench, { session: overdue })).rejects.toMatchObject({ exitCode: 7 });
    expect(bench.asked.at(-1)).toBeLessThan(500);
  });

  test('says once what it waits for, and again when that changes', async () => {
    const starting: SessionView = { ...granted, state: 'preparing', progress: 'starting' };
    const bench = createBench([running, running, succeeded], [pending, starting, granted]);

    await awaitSession(bench, { session: pending });

    expect(bench.lines).toHaveLength(2);
    expect(bench.lines[0]).toMatch(/^Waiting for approval by 2 of group g1, until \d\d:\d\d…\n$/);
    expect(bench.lines[1]).toBe('Starting vm-one…\n');
  });

  test('tells the one who asked who denied, and why', async () => {
    const votes = [
      { by: grace, decision: 'deny', at: noon.toISOString(), note: 'Not today.' },
    ] as const;
    const decided = { ...approval, votes: [...votes], outcome: 'denied' as const };
    const denied: SessionView = {
      ...granted,
      state: 'denied',
      endReason: 'denied',
      approval: decided,
    };
    const bench = createBench([failed], [denied]);

    await expect(awaitSession(bench, { session: pending })).rejects.toMatchObject({
      exitCode: 4,
      message: 'The request was denied.',
      notes: ['Denied by "Grace" (tenant.grace): "Not today."'],
    });
  });

  test('passes on what an approver noted', async () => {
    const votes = [
      { by: grace, decision: 'approve' as const, at: noon.toISOString(), note: 'Go.' },
    ];
    const approved = { ...granted, approval: { ...approval, votes, outcome: 'approved' as const } };
    const bench = createBench([succeeded], [approved]);

    await awaitSession(bench, { session: pending });

    expect(bench.lines.at(-1)).toBe('Approved by "Grace" (tenant.grace): "Go."\n');
  });
});

describe('awaitExtension', () => {
  const asked: SessionView = { ...granted, extension: { ...approval, kind: 'extension' } };

  test('leaves a session whose extension was not approved in time as it is', async () => {
    const expired = { ...asked, extension: { ...approval, outcome: 'expired' as const } };
    const bench = createBench([failed], [expired]);

    await expect(awaitExtension(bench, { session: asked })).rejects.toMatchObject({ exitCode: 4 });
  });

  test('tells who denied it, and why', async () => {
    const votes = [{ by: grace, decision: 'deny' as const, at: noon.toISOString() }];
    const extension = { ...approval, votes, outcome: 'denied' as const };
    const bench = createBench([failed], [{ ...granted, extension }]);

    await expect(awaitExtension(bench, { session: asked })).rejects.toMatchObject({
      exitCode: 4,
      notes: ['Denied by "Grace" (tenant.grace)'],
    });
  });

  test('says why the session itself is over', async () => {
    const over: SessionView = { ...asked, state: 'ended', endReason: 'locked' };

    await expect(
      awaitExtension(createBench([failed], [over]), { session: asked }),
    ).rejects.toMatchObject({ exitCode: 4, message: 'A lock forbids the session.' });
  });
});

describe('findPause', () => {
  const pauses = fc.integer({ min: 0, max: 999_999 });

  test('is within a second and a minute, and no shorter than a sane Retry-After', () => {
    fc.assert(
      fc.property(pauses, pauses, pauses, (retryAfterSeconds, last, waited) => {
        for (const reading of [
          { operation: operation({ retryAfterSeconds }) },
          { failure: new CommandError(7, 'Try again.', { retryAfterSeconds }) },
        ]) {
          const pause = findPause(reading, last, waited);
          expect(pause).toBeGreaterThanOrEqual(Math.max(1, Math.min(60, retryAfterSeconds)));
          expect(pause).toBeLessThanOrEqual(60);
        }
      }),
    );
  });

  test('grows to half a minute for those who wait for hours', () => {
    expect(findPause({ operation: running }, 5, 10)).toBe(5);
    expect(findPause({ operation: running }, 5, 100)).toBe(10);
    expect(findPause({ operation: running }, 5, 10_000)).toBe(30);
  });
});

describe('isPassing', () => {
  test.each([
    [new CommandError(7, 'down'), true],
    [new CommandError(6, 'busy', { code: 'rate-limited' }), true],
    [new CommandError(6, 'busy', { retryAfterSeconds: 1 }), true],
    [new CommandError(6, 'over', { code: 'session-ended' }), false],
    [new CommandError(3, 'sign in'), false],
  ])('of %s is %s', (failure, expected) => {
    expect(isPassing(failure)).toBe(expected);
  });
});

describe('describeProgress', () => {
  test('counts who has approved so far, and names every group', () => {
    const votes = [{ by: grace, decision: 'approve' as const, at: noon.toISOString() }];
    const needs = [...approval.needs, { group: 'g2', count: 1 }];

    const line = describeProgress(
      { ...pending, approval: { ...approval, needs, votes } },
      'session',
    );

    expect(line).toMatch(
      /^Waiting for approval by 2 of group g1 and 1 of group g2 \(1 so far\), until/,
    );
  });

  test.each([
    ['starting', 'Starting vm-one'],
    ['probing', 'Waiting for port 22 of vm-one'],
  ] as const)('says what is done while it is %s', (progress, line) => {
    const approved = { ...approval, outcome: 'approved' as const };
    const preparing: SessionView = { ...granted, state: 'preparing', progress, approval: approved };

    expect(describeProgress(preparing, 'session')).toBe(line);
  });
});

describe('toEndError', () => {
  test('has a sentence for every way in which a session ends, and never exits with 0', () => {
    for (const endReason of endReasons) {
      const failure = toEndError({ ...granted, state: 'failed', endReason }, undefined);
      expect(failure.message).toMatch(/^[A-Z].*\.$/);
      expect(failure.exitCode).toBeGreaterThanOrEqual(4);
    }
  });

  test('says what the broker says when it gives no reason', () => {
    expect(toEndError(pending, failed.error).message).toBe('It did not work.');
  });
});
