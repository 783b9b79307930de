import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { cliScript, runProgram } from '../support/cli.ts';
import type { CliBench } from '../support/cli-bench.ts';
import { startBench } from '../support/cli-bench.ts';
import { decisionInput } from '../support/policies.ts';
import { toReply, vm } from '../support/stand-in-broker.ts';

let bench: CliBench;
let folder: string;

beforeEach(async () => {
  bench = await startBench();
  folder = mkdtempSync(join(bench.folder, 'policies-'));
  writeFileSync(join(folder, 'a.cedar'), '@id("a") permit (principal, action, resource);');
});

afterEach(async () => {
  rmSync(folder, { recursive: true });
  await bench.close();
});

/** Answers the questions about policy one after the other; returns what was asked. */
function answerPolicy(...bodies: readonly object[]): string[] {
  const asked: string[] = [];
  bench.broker.intercept = ({ path, body }) => {
    if (!path.startsWith('/api/policy/')) return undefined;
    asked.push(body);
    return { status: 200, body: bodies[asked.length - 1] ?? {} };
  };
  return asked;
}

const { caller, action, context } = decisionInput();
const digest = 'digest';

describe('sallyport explain', () => {
  const denied = {
    outcome: 'deny',
    digest,
    policies: [],
    facts: { caller, action, context },
    advice: ['Production asks for a reason.'],
    nearest: [{ kind: 'reason', detail: 'Give a reason.' }],
  };

  test('prints the outcome, the facts, the advice and what would change it', async () => {
    const asked = answerPolicy(denied);

    const run = await bench.cli.run('explain', 'vm-one', '--duration', '2h', '--change', 'CHG1');

    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout.split('\n')).toEqual([
      'Policy denies this, or there is no such target.',
      '  asked     connect.ssh on port 22 for 3600 s',
      `  caller    ${caller.id}`,
      `  groups    ${caller.groups[0]}`,
      '  advice    Production asks for a reason.',
      '  instead   Give a reason.',
      '',
    ]);
    expect(asked.map((body): unknown => JSON.parse(body))).toEqual([
      { target: vm.id, port: 22, protocol: 'ssh', durationSeconds: 7200, change: 'CHG1' },
    ]);
    expect(bench.broker.sessions.size).toBe(0);
  });

  test('prints what an answer with needs asks for', async () => {
    answerPolicy({
      ...denied,
      outcome: 'needs',
      advice: [],
      nearest: [],
      needs: [{ kind: 'approval', group: 'ops', count: 1 }],
      terms: { maxDurationSeconds: 3600, approval: { group: 'ops', count: 1 } },
    });

    const run = await bench.cli.run('explain', 'vm-one');

    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toContain('Policy allows this once its needs are met.\n');
    expect(run.stdout).toContain('  needs     A member of the group ops must approve.\n');
    expect(run.stdout).toContain('  terms     maxDurationSeconds 3600\n');
  });

  test('prints the answer as it is with --json', async () => {
    answerPolicy(denied);

    const run = await bench.cli.run('--json', 'explain', vm.id, '--port', '22');

    expect(JSON.parse(run.stdout)).toEqual(denied);
  });
});

const verdicts = {
  from: { outcome: 'allow', policies: ['a'] },
  to: { outcome: 'deny', policies: [] },
};
const flip = {
  case: 'session-1',
  caller: 'tenant.ada',
  target: 'vm-one',
  action: 'connect.ssh',
  port: 22,
  ...verdicts,
};
const none = {
  decided: 2,
  allowToNeeds: 0,
  allowToDeny: 0,
  needsToAllow: 0,
  needsToDeny: 0,
  denyToAllow: 0,
  denyToNeeds: 0,
};

describe('sallyport policy simulate', () => {
  test('follows the pages of the past, prints what flips, and exits with 6', async () => {
    const nextFrom = '20260302-0123456789abcdef:000000000007';
    const asked = answerPolicy(
      {
        outcome: 'sound',
        digest,
        counts: { ...none, allowToDeny: 1 },
        flips: [flip],
        audit: { entries: 2000, progress: 0.5, nextFrom },
      },
      { outcome: 'sound', digest, counts: none, flips: [], audit: { entries: 3, progress: 1 } },
    );

    const run = await bench.cli.run(
      'policy',
      'simulate',
      folder,
      '--from',
      '2026-03-01',
      '--to',
      '2026-03-03',
    );

    expect(run).toMatchObject({ exitCode: 6, stderr: '' });
    expect(run.stdout).toMatch(/session-1 .*allow \(a\) +deny\n4 decided, 1 from allow to deny\n$/);
    expect(asked[0]).toContain('"from":"2026-03-01T00:00:00.000Z"');
    expect(asked[0]).not.toContain('nextFrom');
    expect(asked[1]).toContain(`"nextFrom":"${nextFrom}"`);
  });

  test('exits with 0 when nothing flips, and sends the cases of a file', async () => {
    const cases = join(folder, 'cases.json');
    writeFileSync(cases, JSON.stringify([{ name: 'one', input: decisionInput() }]));
    const asked = answerPolicy({ outcome: 'sound', digest, counts: none, flips: [] });

    const run = await bench.cli.run('--json', 'policy', 'simulate', folder, '--cases', cases);

    expect(run.exitCode).toBe(0);
    expect(JSON.parse(run.stdout)).toEqual({ outcome: 'sound', counts: none, flips: [] });
    expect(JSON.parse(asked[0] ?? '')).toMatchObject({
      policies: [{ name: 'a.cedar' }],
      cases: [{ name: 'one' }],
    });
  });

  test('exits with 4 without the role, and with 2 for a folder or a time that is none', async () => {
    const missing = new BrokerError('role-missing', 'Ask the operator.');
    bench.broker.intercept = ({ path }) =>
      path.startsWith('/api/policy/') ? toReply(missing) : undefined;

    const refused = await bench.cli.run('policy', 'simulate', folder);
    const nowhere = await bench.cli.run('policy', 'check', join(folder, 'nowhere'));
    const never = await bench.cli.run('policy', 'simulate', folder, '--from', 'yesterday');

    expect([refused, nowhere, never].map(({ exitCode }) => exitCode)).toEqual([4, 2, 2]);
  });
});

describe('sallyport policy test', () => {
  function writeCases(cases: readonly object[]): void {
    mkdirSync(join(folder, 'tests'));
    writeFileSync(join(folder, 'tests', 'a.json'), JSON.stringify(cases, null, 1));
  }

  const passes = { name: 'open', expect: { outcome: 'allow', policies: ['a'] } };
  const fails = { name: 'closed', expect: { outcome: 'deny' } };

  test('exits with 0 when every case is decided as it expects, and asks no broker', async () => {
    writeCases([passes]);

    const run = await bench.cli.run('policy', 'test', folder);

    expect(run).toEqual({ exitCode: 0, stdout: '1 tests, 0 failed\n', stderr: '' });
    expect(bench.broker.seen).toEqual([]);
  });

  test('prints file and line of each case that fails, and exits with 1', async () => {
    writeCases([passes, fails]);
    const file = join(folder, 'tests', 'a.json');

    const run = await bench.cli.run('policy', 'test', folder);
    const json = await bench.cli.run('--json', 'policy', 'test', folder);

    const detail = 'closed: outcome is "allow", expected is "deny".';
    expect(run).toEqual({
      exitCode: 1,
      stdout: '2 tests, 1 failed\n',
      stderr: `${file}:12: ${detail}\n`,
    });
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.stdout)).toEqual({
      outcome: 'failed',
      tests: 2,
      findings: [{ file, line: 12, detail }],
    });
  });

  test('exits with 2 for policies with findings, runs none, and for a folder without tests', async () => {
    const bare = await bench.cli.run('policy', 'test', folder);
    writeCases([fails]);
    writeFileSync(join(folder, 'b.cedar'), 'permit (principal, action, resource);');

    const faulty = await bench.cli.run('policy', 'test', folder);

    expect(bare).toMatchObject({ exitCode: 2, stdout: '' });
    expect(bare.stderr).toContain("/tests' cannot be read.");
    expect(faulty).toMatchObject({ exitCode: 2, stdout: '' });
    expect(faulty.stderr).toMatch(/\/b\.cedar:1: .*@id/);
    expect(faulty.stderr).not.toContain('closed');
  });

  // The engine is a package of its own.
  test('says in a copied file that it has to be run from its package', async () => {
    writeCases([passes]);
    const copy = join(folder, 'sallyport.mjs');
    copyFileSync(cliScript, copy);

    const run = await runProgram(process.execPath, [copy, 'policy', 'test', folder], {});

    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toContain('from its package');
  });
});

describe('sallyport policy check', () => {
  test('prints file and line of each finding and exits with 2', async () => {
    const findings = [{ file: 'a.cedar', line: 3, detail: 'There is no such attribute.' }];
    answerPolicy({ outcome: 'faulty', findings });

    const run = await bench.cli.run('policy', 'check', folder);

    expect(run).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'a.cedar:3: There is no such attribute.\n',
    });
  });

  test('exits with 0 for a sound folder', async () => {
    answerPolicy({ outcome: 'sound', digest, counts: none, flips: [] });

    const run = await bench.cli.run('policy', 'check', folder);

    expect(run).toMatchObject({ exitCode: 0, stdout: '1 files, nothing to repair.\n' });
  });
});
