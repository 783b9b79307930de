import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { BrokerError } from '../../lib/failure.ts';
import type { SessionView } from '../../lib/session-view.ts';
import { startBench } from '../support/cli-bench.ts';
import type { CliBench } from '../support/cli-bench.ts';
import { Cli } from '../support/cli-process.ts';
import type { CliProcess } from '../support/cli-process.ts';
import { createSession, toReply, vm } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';

const approval: NonNullable<SessionView['approval']> = {
  kind: 'session',
  etag: '"digest"',
  needs: [{ group: 'g1', count: 1 }],
  durationSeconds: 3600,
  expiresAt: new Date(Date.now() + 600_000).toISOString(),
  votes: [],
};

const held: Partial<SessionView> = { state: 'pendingApproval', progress: 'approval', approval };
const id = 'abc11111-0000-4000-8000-000000000001';

let bench: CliBench;
let broker: StandInBroker;
let cli: Cli;

beforeEach(async () => {
  bench = await startBench();
  ({ broker, cli } = bench);
  broker.held = held;
  bench.gateway.serve = (socket) => socket.close(1000);
});

afterEach(async () => bench.close());

/** Changes every session that waits, when it is asked about for the nth time. */
function settleAt(count: number, changes: Partial<SessionView>): void {
  let asked = 0;
  broker.intercept = ({ path }) => {
    if (!path.startsWith('/api/operations/')) return undefined;
    asked += 1;
    if (asked === count)
      for (const [key, session] of broker.sessions)
        broker.sessions.set(key, { ...session, ...changes });
    return undefined;
  };
}

/** Resolves when the broker has been asked how a session is. */
async function whenFollowed(): Promise<void> {
  const { intercept } = broker;
  return new Promise((resolve) => {
    broker.intercept = (seen) => {
      if (seen.path.startsWith('/api/operations/')) resolve();
      return intercept(seen);
    };
  });
}

function states(): readonly string[] {
  return [...broker.sessions.values()].map(({ state }) => state);
}

async function readOutput({ child }: CliProcess): Promise<string> {
  child.stdin.end();
  return (await buffer(child.stdout)).toString();
}

describe('a session that waits', () => {
  test('is followed until it is ready, then used with a ticket of its own', async () => {
    settleAt(2, { state: 'ready' });
    bench.gateway.serve = (socket) => {
      socket.send(Buffer.from('hello'));
      socket.send(Buffer.alloc(0));
    };

    const run = await cli.run('connect', 'vm-one', '--start', '--terms', 'urgent');

    expect(run).toMatchObject({ exitCode: 0, stdout: 'hello' });
    // One line, as standard error is no terminal here.
    expect(run.stderr).toMatch(/^Waiting for approval by 1 of group g1, until \d\d:\d\d…\n$/);
    const put = broker.seen.find(({ method }) => method === 'PUT');
    expect(JSON.parse(put?.body ?? '')).toMatchObject({ start: true, profile: 'urgent' });
    expect(bench.gateway.presented).toEqual([...broker.tickets]);
    expect(states()).toEqual(['ended']);
  });

  test('is followed through an outage of the broker', async () => {
    let asked = 0;
    broker.intercept = ({ path }) => {
      if (!path.startsWith('/api/operations/')) return undefined;
      asked += 1;
      if (asked === 1) return toReply(new BrokerError('state-unavailable', 'Try again.'));
      for (const [key, session] of broker.sessions)
        broker.sessions.set(key, { ...session, state: 'ready' });
      return undefined;
    };

    expect(await cli.run('connect', 'vm-one')).toMatchObject({ exitCode: 0 });
    expect(asked).toBe(2);
  });

  test('is withdrawn by Ctrl-C', async () => {
    const followed = whenFollowed();
    const run = cli.start('connect', 'vm-one');
    await followed;

    run.child.kill('SIGINT');

    expect(await run.ended).toBe(6);
    expect(run.stderr()).toContain('sallyport: Interrupted. The request is withdrawn.\n');
    expect(states()).toEqual(['ended']);
  });

  test('is a denial with its own words and exit code when an approver denies it', async () => {
    const by = { id: 'tenant.grace', name: 'Grace' };
    const at = new Date().toISOString();
    const votes = [{ by, decision: 'deny' as const, at, note: 'Not today.' }];
    const denied = { ...approval, votes, outcome: 'denied' as const };
    settleAt(1, { state: 'denied', endReason: 'denied', approval: denied });

    const run = await cli.run('connect', 'vm-one');

    expect(run).toMatchObject({ exitCode: 4, stdout: '' });
    expect(run.stderr).toContain(
      'sallyport: The request was denied.\n  Denied by "Grace" (tenant.grace): "Not today."\n',
    );
  });

  test('is left as it is with --no-wait, and used by its id later', async () => {
    const asked = await cli.run('--json', 'tunnel', 'vm-one', '--no-wait');
    const [session = ''] = broker.sessions.keys();
    const left = states();
    settleAt(1, { state: 'ready' });
    const used = await cli.run('connect', 'vm-one', '--session', session);

    expect(asked.exitCode).toBe(9);
    expect(JSON.parse(asked.stdout)).toMatchObject({ event: 'waiting', session, target: 'vm-one' });
    expect(asked.stderr).toContain(`  go on: sallyport tunnel vm-one --session ${session}\n`);
    expect(left).toEqual(['pendingApproval']);
    expect(used.exitCode).toBe(0);
    // It was not asked for here, so it may be used again.
    expect(states()).toEqual(['ready']);
    expect(broker.seen.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  });

  test('is what a tunnel listens for', async () => {
    settleAt(1, { state: 'ready' });
    const run = cli.start('--json', 'tunnel', 'vm-one');
    const lines = createInterface({ input: run.child.stdout });
    const [line] = z.tuple([z.string()]).parse(await once(lines, 'line'));

    expect(JSON.parse(line)).toMatchObject({ event: 'listening' });
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
  });
});

describe('--session', () => {
  beforeEach(() => {
    broker.sessions.set(id, createSession(id, bench.gateway.endpoint));
  });

  test('terminates the session only with --end', async () => {
    const kept = await cli.run('connect', vm.id, '--session', id);
    const [state] = states();
    const ended = await cli.run('connect', 'VM-ONE', '--session', id, '--end');

    expect([kept.exitCode, ended.exitCode]).toEqual([0, 0]);
    expect(state).toBe('ready');
    expect(states()).toEqual(['ended']);
  });

  // What is typed must not go to another machine than the one that was named.
  test('refuses a session to another target than the one that is named', async () => {
    const run = await cli.run('connect', 'vm-two', '--session', id);

    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('is to vm-one');
    expect(bench.gateway.presented).toEqual([]);
  });

  test('says that a session is over', async () => {
    const over = { ...createSession(id, bench.gateway.endpoint), state: 'ended' as const };
    broker.sessions.set(id, { ...over, endReason: 'deadline' });

    const run = await cli.run('connect', 'vm-one', '--session', id);

    expect(run).toMatchObject({ exitCode: 6, stdout: '' });
  });

  test('goes with no wish for a new session', async () => {
    const run = await cli.run('connect', 'vm-one', '--session', id, '--reason', 'x');

    expect(run.exitCode).toBe(2);
    expect(broker.seen).toEqual([]);
  });
});

describe('sallyport ssh --no-wait', () => {
  beforeEach(() => {
    writeFileSync(`${bench.folder}/ssh`, '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const path = `${bench.folder}:${process.env['PATH'] ?? ''}`;
    cli = new Cli({ ...bench.environment, PATH: path });
  });

  test('starts no ssh for a session that waits, and exits with 9', async () => {
    const run = await cli.run('ssh', 'ada@vm-one', '--no-wait');

    const [session = ''] = broker.sessions.keys();
    expect(run).toMatchObject({ exitCode: 9, stdout: '' });
    expect(run.stderr).toContain(`  go on: sallyport ssh ada@vm-one --session ${session}\n`);
    expect(states()).toEqual(['pendingApproval']);
  });

  test('runs ssh with the session that is ready at once', async () => {
    delete broker.held;

    const run = await cli.run('ssh', 'ada@vm-one', '--no-wait', '--reason', 'x');

    const [session = ''] = broker.sessions.keys();
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain(` connect ${vm.id} --session ${session} --end --broker `);
    expect(states()).toEqual(['ready']);
  });
});

describe('sallyport extend', () => {
  const extension = { ...approval, kind: 'extension' as const };

  test('says the new deadline when policy allows it at once', async () => {
    broker.sessions.set(id, createSession(id, bench.gateway.endpoint));

    const run = await cli.run('extend', id, '--duration', '30m');

    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toMatch(/^Session .* to vm-one may last until \d\d:\d\d:\d\d\.\n$/);
    expect(broker.seen.map(({ body }) => body)).toEqual(['{"durationSeconds":1800}']);
  });

  test('waits for the approval, and exits with 4 when it is denied', async () => {
    broker.sessions.set(id, { ...createSession(id, bench.gateway.endpoint), extension });
    settleAt(1, { extension: { ...extension, outcome: 'denied' } });

    const run = await cli.run('extend', id, '--duration', '30m');

    expect(run).toMatchObject({ exitCode: 4, stdout: '' });
    expect(broker.seen.map(({ path }) => path)).toContain(`/api/operations/${id}.extension`);
    // The session itself goes on.
    expect(states()).toEqual(['ready']);
  });

  test('leaves the request and the session as they are, by --no-wait and by Ctrl-C', async () => {
    broker.sessions.set(id, { ...createSession(id, bench.gateway.endpoint), extension });

    const left = await cli.run('extend', id, '--duration', '30m', '--no-wait');
    const followed = whenFollowed();
    const run = cli.start('extend', id, '--duration', '30m');
    await followed;
    run.child.kill('SIGINT');

    expect(left.exitCode).toBe(9);
    expect(await readOutput(run)).toBe('');
    expect(await run.ended).toBe(6);
    expect(states()).toEqual(['ready']);
  });
});
