import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { approvalRequestShape, type PendingView } from '../../lib/approval-view.ts';
import { startBench } from '../support/cli-bench.ts';
import type { CliBench } from '../support/cli-bench.ts';
import { describeWith, requireProgram } from '../support/programs.ts';
import { createSession, vm } from '../support/stand-in-broker.ts';

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const id = 'abc11111-0000-4000-8000-000000000001';

const request: PendingView = {
  id,
  kind: 'session',
  etag: '"digest"',
  caller: { id: 'tenant.eve', name: 'Eve\u001B[2J\n  target  "vm-safe"' },
  target: vm,
  protocol: 'ssh',
  port: 22,
  durationSeconds: 3600,
  reason: 'the disk is full',
  requestedAt: '2025-11-24T12:00:00Z',
  expiresAt: '2025-11-24T20:00:00Z',
  terms: { maxConnections: 4 },
  needs: [{ group: 'g1', count: 1 }],
  votes: [],
};

let bench: CliBench;

beforeEach(async () => {
  bench = await startBench();
  bench.broker.pending = [request];
  bench.broker.sessions.set(id, createSession(id, bench.gateway.endpoint));
});

afterEach(async () => bench.close());

function votes(): readonly object[] {
  return bench.broker.seen
    .filter(({ path }) => path.endsWith('/approval'))
    .map(({ body, ifMatch }) => ({ ifMatch, ...approvalRequestShape.parse(JSON.parse(body)) }));
}

describe('sallyport requests', () => {
  test('lists what waits, in one line each, whatever others wrote', async () => {
    const run = await bench.cli.run('requests');

    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    const [heading = '', ...rows] = run.stdout.trimEnd().split('\n');
    expect(heading).toMatch(/^ID /);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatch(/^abc11111-.* session .*"vm-one".*"the disk is full"$/);
  });

  test('gives scripts what the broker said', async () => {
    const run = await bench.cli.run('requests', '--json');

    expect(JSON.parse(run.stdout)).toEqual([request]);
  });

  test('says when there is nothing to decide', async () => {
    bench.broker.pending = [];

    expect(await bench.cli.run('requests')).toMatchObject({ exitCode: 0, stdout: '' });
  });
});

describe('sallyport approve', () => {
  test('decides on exactly the request that was shown', async () => {
    const words = ['--yes', '--duration', '30m', '--note', 'Go ahead.'];

    const run = await bench.cli.run('approve', 'ABC1', ...words);

    expect(run).toMatchObject({ exitCode: 0, stdout: `Request ${id} is approved.\n` });
    expect(run.stderr).toContain('\n  reason  "the disk is full"\n');
    expect(run.stderr).toContain('\n  terms   maxConnections 4\n');
    expect(run.stderr.match(/^ {2}target/gm)).toHaveLength(1);
    expect(votes()).toEqual([
      { ifMatch: '"digest"', decision: 'approve', durationSeconds: 1800, note: 'Go ahead.' },
    ]);
  });

  // THREATS 18: nobody approves what they have not seen.
  test('exits with 6 when the request is another one by the time of the decision', async () => {
    bench.broker.intercept = ({ path }) => {
      if (path.endsWith('/approval')) bench.broker.pending = [{ ...request, etag: '"other"' }];
      return undefined;
    };

    const run = await bench.cli.run('approve', id, '--yes');

    expect(run).toMatchObject({ exitCode: 6, stdout: '' });
    expect(run.stderr).toContain('  It is not the one that was shown.');
  });

  test('exits with 6 when somebody else was faster, and with 5 when there is no such request', async () => {
    bench.broker.intercept = ({ path }) => {
      if (path.endsWith('/approval')) bench.broker.pending = [];
      return undefined;
    };

    const late = await bench.cli.run('approve', id, '--yes');
    const gone = await bench.cli.run('approve', id, '--yes');

    expect([late.exitCode, gone.exitCode]).toEqual([6, 5]);
    expect(late.stderr).toContain('has been decided');
  });

  test('needs --yes where there is nobody to ask, and then asks the broker nothing', async () => {
    const run = await bench.cli.run('approve', id);

    expect(run).toMatchObject({ exitCode: 2, stdout: '' });
    expect(bench.broker.seen).toEqual([]);
  });

  describeWith(['script'], 'on a terminal', () => {
    /** Runs the command on a terminal of its own, and types an answer when it is asked. */
    async function answer(typed: string): Promise<{ code: number | null; screen: string }> {
      const line = `"${process.execPath}" "${main}" approve abc`;
      const env = { PATH: process.env['PATH'], HOME: '/nonexistent', ...bench.environment };
      const child = spawn(requireProgram('script'), ['-qec', line, '/dev/null'], { env });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      let seen = '';
      child.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (seen.includes('[y/N] ') && !child.stdin.writableEnded) child.stdin.end(typed);
      });
      const screen = await text(child.stdout);
      return { code: await ended, screen };
    }

    test('shows the request and asks', async () => {
      const { code, screen } = await answer('y\n');

      expect(code).toBe(0);
      expect(screen).toContain('Approve this? [y/N] ');
      expect(votes()).toHaveLength(1);
    });

    test.each(['\n', 'n\n', 'yes please\n', '\u0003', '\u0004'])(
      'decides nothing after %j',
      async (typed) => {
        expect((await answer(typed)).code).toBe(1);
        expect(votes()).toEqual([]);
      },
    );
  });
});

describe('sallyport deny', () => {
  test('denies, and says so', async () => {
    const run = await bench.cli.run('deny', id, '--yes', '--note', 'Not today.');

    expect(run).toMatchObject({ exitCode: 0, stdout: `Request ${id} is denied.\n` });
    expect(votes()).toEqual([{ ifMatch: '"digest"', decision: 'deny', note: 'Not today.' }]);
  });
});
